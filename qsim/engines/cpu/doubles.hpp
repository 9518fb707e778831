// Two items on different qubits at once: half the traffic.
#pragma once

#include "items.hpp"

namespace qsim::cpu {
namespace {

template <class T, bool MOVED>
struct Doubles {
    using V = typename Shape<T>::V;
    using Lanes = Matrix2<V>;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;

    // How the corners of a quadruple stand to its representative: in which place, in which lanes.
    struct Corners {
        Partner<T, MOVED> first, second, both;
        int64_t step[4];

        Corners(const View<T>& view, const Operation& operation, const Tile& tile)
            : first(distance(view, operation.first)),
              second(distance(view, operation.second)),
              both(distance(view, operation.first) ^ distance(view, operation.second)),
              step{0, tile.step(operation.mask[0]), tile.step(operation.mask[1]),
                   tile.step(operation.mask[0] ^ operation.mask[1])} {}

        static unsigned distance(const View<T>& view, int32_t item) {
            return Matrices<T>::lane_distance(view, view.items[item].mask);
        }
    };

    struct Places {
        int64_t at[4];

        QSIM_INLINE Places(int64_t first, const Corners& corners) {
            for (int k = 0; k < 4; ++k) at[k] = first ^ corners.step[k];
        }
    };

    // Amplitudes of two qubits: pair q holds those with the second qubit at q.
    struct Quad {
        Pair<T> pair[2];

        QSIM_INLINE void read(const T* state, const Places& places, const Corners& corners, int c) {
            pair[0].read(state + places.at[0], state + places.at[1], corners.first, c);
            const T *a = state + places.at[2], *b = state + places.at[3];
            pair[1].r0 = corners.second.read(a, c), pair[1].i0 = corners.second.read(a + W, c);
            pair[1].r1 = corners.both.read(b, c), pair[1].i1 = corners.both.read(b + W, c);
        }
        QSIM_INLINE void write(T* state, const Places& places, const Corners& corners,
                               int c) const {
            pair[0].write(state + places.at[0], state + places.at[1], corners.first, c);
            T *a = state + places.at[2], *b = state + places.at[3];
            corners.second.write(a, c, pair[1].r0), corners.second.write(a + W, c, pair[1].i0);
            corners.both.write(b, c, pair[1].r1), corners.both.write(b + W, c, pair[1].i1);
        }
        // The pairs of the second qubit.
        QSIM_INLINE Quad transposed() const {
            const Pair<T>&a = pair[0], &b = pair[1];
            return {{{a.r0, a.i0, b.r0, b.i0}, {a.r1, a.i1, b.r1, b.i1}}};
        }
        template <int KIND>
        QSIM_INLINE Quad times(const Lanes& first, const Lanes& second) const {
            const Quad turned =
                Quad{{pair[0].template times<KIND>(first), pair[1].template times<KIND>(first)}}
                    .transposed();
            return Quad{{turned.pair[0].template times<KIND>(second),
                         turned.pair[1].template times<KIND>(second)}}
                .transposed();
        }
    };

    template <int KIND>
    static void apply(const View<T>& view, const Operation& operation, const T* own,
                      const Tile& tile, T* state) {
        const Corners corners(view, operation, tile);
        each_segment(view, operation, tile.base, [&](auto begin, auto end, uint32_t key) {
            for (int c = 0; c < C; ++c) {
                const Lanes first = Matrices<T>::matrix(view, operation.first, own, c, key & 1),
                            second = Matrices<T>::matrix(view, operation.second, own, c, key & 2);
                const Corners here = corners;  // in registers
                const int64_t* at = tile.at;
                T* data = state;
                for (const uint16_t* p = begin; p != end; ++p) {
                    const Places places(at[*p], here);
                    Quad psi;
                    psi.read(data, places, here, c);
                    psi.template times<KIND>(first, second).write(data, places, here, c);
                }
            }
        });
    }

    template <int KIND>
    static void undo(const View<T>& view, const Operation& operation, const T* own,
                     const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        const Corners corners(view, operation, tile);
        each_segment(view, operation, tile.base, [&](auto begin, auto end, uint32_t key) {
            for (int c = 0; c < C; ++c) {
                const Lanes first =
                    adjoint(Matrices<T>::matrix(view, operation.first, own, c, key & 1));
                const Lanes second =
                    adjoint(Matrices<T>::matrix(view, operation.second, own, c, key & 2));
                Sums<T> total[2];
                const Corners here = corners;
                const int64_t* at = tile.at;
                T *a = psi_state, *b = lambda_state;
                for (const uint16_t* p = begin; p != end; ++p) {
                    const Places places(at[*p], here);
                    Quad psi, lambda;
                    psi.read(a, places, here, c);
                    lambda.read(b, places, here, c);
                    const Quad psi_turned = psi.transposed(), lambda_turned = lambda.transposed();
                    for (int q = 0; q < 2; ++q) {
                        total[0].template add<KIND>(psi.pair[q], lambda.pair[q]);
                        total[1].template add<KIND>(psi_turned.pair[q], lambda_turned.pair[q]);
                    }
                    psi.template times<KIND>(first, second).write(a, places, here, c);
                    lambda.template times<KIND>(first, second).write(b, places, here, c);
                }
                const int32_t items[2] = {operation.first, operation.second};
                for (int q = 0; q < 2; ++q) {
                    total[q].add_to(sums + int64_t{4} * W * items[q],
                                    Matrices<T>::lane_signs(view, view.items[items[q]].row, c),
                                    key >> q & 1, splat<V>(view.undone[items[q]]), c);
                }
            }
        });
    }

    // --- Choice of the loop ---

    static bool tangents(const View<T>& view, const Operation& operation) {
        return view.tangent[operation.first] && view.tangent[operation.second];
    }

    static typename Items<T>::Apply apply_loop(const View<T>& view, const Operation& operation) {
        if (operation.kind == kDense) return apply<kDense>;
        return tangents(view, operation) ? apply<kTangent> : apply<kReal>;
    }

    static typename Items<T>::Undo undo_loop(const View<T>& view, const Operation& operation) {
        if (operation.kind == kDense) return undo<kDense>;
        return tangents(view, operation) ? undo<kTangent> : undo<kRotation>;
    }
};

}  // namespace
}  // namespace qsim::cpu
