// Two real items on different qubits at once: half the traffic.
#pragma once

#include "items.hpp"

namespace qsim::cpu {
namespace {

template <class T, int W>
struct Doubles {
    using V = typename Matrices<T, W>::V;
    using Lanes = typename Matrices<T, W>::Lanes;
    static constexpr int N = Matrices<T, W>::N, C = Matrices<T, W>::C;
    using Pair = typename Items<T, W>::Pair;
    using Sums = typename Items<T, W>::Sums;
    using Range = typename Items<T, W>::Range;

    // Amplitudes of two qubits: pair q holds those with the second qubit at q.
    struct Quad {
        Pair pair[2];

        void read(const T* state, const int64_t* at) {
            for (int q = 0; q < 2; ++q) pair[q].read(state + at[2 * q], state + at[2 * q + 1]);
        }
        void write(T* state, const int64_t* at) const {
            for (int q = 0; q < 2; ++q) pair[q].write(state + at[2 * q], state + at[2 * q + 1]);
        }
        // The pairs of the second qubit.
        Quad transposed() const {
            const Pair &a = pair[0], &b = pair[1];
            return {{{a.r0, a.i0, b.r0, b.i0}, {a.r1, a.i1, b.r1, b.i1}}};
        }
        Quad times(const Lanes& first, const Lanes& second) const {
            const Quad turned =
                Quad{{pair[0].template times<kReal>(first), pair[1].template times<kReal>(first)}}
                    .transposed();
            return Quad{{turned.pair[0].template times<kReal>(second),
                         turned.pair[1].template times<kReal>(second)}}
                .transposed();
        }
    };

    // Where a quadruple stands, flips of its qubits taken into account.
    struct Corners {
        int64_t at[4];

        Corners(const Tile& tile, const uint16_t* p, int flips) {
            for (int k = 0; k < 4; ++k) at[k] = tile.at[p[k ^ flips]];
        }
    };

    static Range quads(const View<T>& view, const Operation& operation, uint64_t base) {
        return {view.indices + operation.begin[0], view.indices + operation.begin[1],
                Items<T, W>::flip(view, operation.first, base) |
                    Items<T, W>::flip(view, operation.second, base) << 1};
    }

    static void apply(const View<T>& view, const Operation& operation, const T* own,
                      const Tile& tile, T* state) {
        const Range range = quads(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes first = Matrices<T, W>::matrix(view, operation.first, own, c),
                        second = Matrices<T, W>::matrix(view, operation.second, own, c);
            for (const uint16_t* p = range.begin; p != range.end; p += 4) {
                const Corners at(tile, p, range.flip);
                Quad psi;
                psi.read(state + c * N, at.at);
                psi.times(first, second).write(state + c * N, at.at);
            }
        }
    }

    static void undo(const View<T>& view, const Operation& operation, const T* own,
                     const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        const Range range = quads(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes first = adjoint(Matrices<T, W>::matrix(view, operation.first, own, c));
            const Lanes second = adjoint(Matrices<T, W>::matrix(view, operation.second, own, c));
            Sums total[2];
            for (const uint16_t* p = range.begin; p != range.end; p += 4) {
                Quad psi, lambda;
                const Corners at(tile, p, range.flip);
                psi.read(psi_state + c * N, at.at);
                lambda.read(lambda_state + c * N, at.at);
                const Quad psi_turned = psi.transposed(), lambda_turned = lambda.transposed();
                for (int q = 0; q < 2; ++q) {
                    total[0].add_x(psi.pair[q], lambda.pair[q]);
                    total[0].add_y(psi.pair[q], lambda.pair[q]);
                    total[1].add_x(psi_turned.pair[q], lambda_turned.pair[q]);
                    total[1].add_y(psi_turned.pair[q], lambda_turned.pair[q]);
                }
                psi.times(first, second).write(psi_state + c * N, at.at);
                lambda.times(first, second).write(lambda_state + c * N, at.at);
            }
            total[0].add_to(sums + int64_t{4} * W * operation.first + c * N);
            total[1].add_to(sums + int64_t{4} * W * operation.second + c * N);
        }
    }
};

}  // namespace
}  // namespace qsim::cpu
