// Items one at a time: apply to a tile, or undo with the sums that gradients need.
#pragma once

#include "matrices.hpp"

namespace qsim::cpu {
namespace {

// One tile: its base address, and where in the state its amplitudes stand.
struct Tile {
    uint64_t base;
    const int64_t* at;
};

template <class T, int W>
struct Items {
    using V = typename Matrices<T, W>::V;
    using Lanes = typename Matrices<T, W>::Lanes;
    static constexpr int N = Matrices<T, W>::N, C = Matrices<T, W>::C;

    struct Pair {
        V r0, i0, r1, i1;

        void read(const T* a, const T* b) {
            r0 = load<V>(a), i0 = load<V>(a + W), r1 = load<V>(b), i1 = load<V>(b + W);
        }
        void write(T* a, T* b) const {
            store(a, r0), store(a + W, i0), store(b, r1), store(b + W, i1);
        }

        template <int KIND>
        Pair times(const Lanes& m) const {
            if constexpr (KIND == kDiagonal) {
                return {m.re[0] * r0 - m.im[0] * i0, m.re[0] * i0 + m.im[0] * r0,
                        m.re[3] * r1 - m.im[3] * i1, m.re[3] * i1 + m.im[3] * r1};
            } else if constexpr (KIND == kReal || KIND == kRotation) {
                return {m.re[0] * r0 + m.re[1] * r1, m.re[0] * i0 + m.re[1] * i1,
                        m.re[2] * r0 + m.re[3] * r1, m.re[2] * i0 + m.re[3] * i1};
            } else {
                return {m.re[0] * r0 - m.im[0] * i0 + m.re[1] * r1 - m.im[1] * i1,
                        m.re[0] * i0 + m.im[0] * r0 + m.re[1] * i1 + m.im[1] * r1,
                        m.re[2] * r0 - m.im[2] * i0 + m.re[3] * r1 - m.im[3] * i1,
                        m.re[2] * i0 + m.im[2] * r0 + m.re[3] * i1 + m.im[3] * r1};
            }
        }
    };
    // Tile indices that an operation visits, and how the tile's base flips the qubits' values.
    struct Range {
        const uint16_t *begin, *end;
        int flip;
    };

    static int flip(const View<T>& view, int k, uint64_t base) {
        return static_cast<int>(parity(view.items[k].row & base)) ^ view.items[k].flip;
    }

    static Range pairs(const View<T>& view, const Operation& operation, uint64_t base) {
        const Item& item = view.items[operation.first];
        int segment = 0;
        for (int c = 0; c < item.controls; ++c) {
            const uint64_t outside = parity(item.control_row[c] & base) ^ item.control_flip[c];
            segment |= static_cast<int>(outside ^ 1) << c;
        }
        return {view.indices + operation.begin[segment],
                view.indices + operation.begin[segment + 1], flip(view, operation.first, base)};
    }

    template <int KIND>
    static void apply(const View<T>& view, const Operation& operation, const T* own,
                      const Tile& tile, T* state) {
        const Range range = pairs(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes m = Matrices<T, W>::matrix(view, operation.first, own, c);
            T* at = state + c * N;
            for (const uint16_t* p = range.begin; p != range.end; p += 2) {
                T *a = at + tile.at[p[range.flip]], *b = at + tile.at[p[1 - range.flip]];
                Pair psi;
                psi.read(a, b);
                psi.template times<KIND>(m).write(a, b);
            }
        }
    }

    // Sums of Im<lambda|P|psi> over pairs: of the two diagonal entries, and for X and Y.
    struct Sums {
        V zero{}, one{}, x{}, y{};

        void add_diagonal(const Pair& psi, const Pair& lambda) {
            zero += lambda.r0 * psi.i0 - lambda.i0 * psi.r0;
            one += lambda.r1 * psi.i1 - lambda.i1 * psi.r1;
        }
        void add_x(const Pair& psi, const Pair& lambda) {
            x += lambda.r0 * psi.i1 - lambda.i0 * psi.r1 + lambda.r1 * psi.i0 - lambda.i1 * psi.r0;
        }
        void add_y(const Pair& psi, const Pair& lambda) {
            y += lambda.r1 * psi.r0 + lambda.i1 * psi.i0 - lambda.r0 * psi.r1 - lambda.i0 * psi.i1;
        }
        // To sums[4][W] for I, X, Y, Z.
        void add_to(T* sums) const {
            const V terms[4] = {zero + one, x, y, zero - one};
            for (int g = 0; g < 4; ++g) store(sums + g * W, load<V>(sums + g * W) + terms[g]);
        }
    };

    // Adds to the item's sums if it has angles, then undoes it on psi and lambda.
    template <int KIND>
    static void undo(const View<T>& view, const Operation& operation, const T* own,
                     const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        if (view.items[operation.first].depends) {
            undo<KIND, true>(view, operation, own, tile, psi_state, lambda_state, sums);
        } else {
            undo<KIND, false>(view, operation, own, tile, psi_state, lambda_state, sums);
        }
    }

    template <int KIND, bool SUMS>
    static void undo(const View<T>& view, const Operation& operation, const T* own,
                     const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        const Range range = pairs(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes m = adjoint(Matrices<T, W>::matrix(view, operation.first, own, c));
            Sums total;
            for (const uint16_t* p = range.begin; p != range.end; p += 2) {
                const int64_t a = c * N + tile.at[p[range.flip]],
                              b = c * N + tile.at[p[1 - range.flip]];
                Pair psi, lambda;
                psi.read(psi_state + a, psi_state + b);
                lambda.read(lambda_state + a, lambda_state + b);
                if constexpr (SUMS && (KIND == kDiagonal || KIND == kDense))
                    total.add_diagonal(psi, lambda);
                if constexpr (SUMS && (KIND == kDense || KIND == kRotation))
                    total.add_x(psi, lambda);
                if constexpr (SUMS && KIND != kDiagonal) total.add_y(psi, lambda);
                psi.template times<KIND>(m).write(psi_state + a, psi_state + b);
                lambda.template times<KIND>(m).write(lambda_state + a, lambda_state + b);
            }
            if constexpr (SUMS) total.add_to(sums + int64_t{4} * W * operation.first + c * N);
        }
    }

    static void apply_single(const View<T>& view, const Operation& operation, const T* own,
                             const Tile& tile, T* psi) {
        switch (operation.kind) {
            case kDiagonal:
                return apply<kDiagonal>(view, operation, own, tile, psi);
            case kReal:
            case kRotation:
                return apply<kReal>(view, operation, own, tile, psi);
            default:
                return apply<kDense>(view, operation, own, tile, psi);
        }
    }

    static void undo_single(const View<T>& view, const Operation& operation, const T* own,
                            const Tile& tile, T* psi, T* lambda, T* sums) {
        switch (operation.kind) {
            case kDiagonal:
                return undo<kDiagonal>(view, operation, own, tile, psi, lambda, sums);
            case kReal:
                return undo<kReal>(view, operation, own, tile, psi, lambda, sums);
            case kRotation:
                return undo<kRotation>(view, operation, own, tile, psi, lambda, sums);
            default:
                return undo<kDense>(view, operation, own, tile, psi, lambda, sums);
        }
    }
};

}  // namespace
}  // namespace qsim::cpu
