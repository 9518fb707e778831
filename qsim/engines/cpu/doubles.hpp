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

    // Two matrices, made ready for their kind of loop.
    template <int KIND>
    struct Factors {
        Lanes first, second;
        // Divided dense ones: the phases of corners 00 and 10; 11 and 01 have their conjugates.
        V same_re, same_im, other_re, other_im;

        Factors(const Lanes& a, const Lanes& b) : first(a), second(b) {
            if constexpr (KIND == kDividedDense) {
                same_re = a.re[0] * b.re[0] - a.im[0] * b.im[0];
                same_im = a.re[0] * b.im[0] + a.im[0] * b.re[0];
                other_re = a.re[0] * b.re[0] + a.im[0] * b.im[0];
                other_im = a.re[0] * b.im[0] - a.im[0] * b.re[0];
                take_phase(first);
                take_phase(second);
            }
        }

      private:
        // diag(p, p*) [[1, t], [-t*, 1]]: leaves what stands behind the phases.
        static void take_phase(Lanes& m) {
            const V re = m.re[1] * m.re[0] + m.im[1] * m.im[0];
            m.im[1] = m.im[2] = m.im[1] * m.re[0] - m.re[1] * m.im[0];
            m.re[1] = re;
            m.re[2] = -re;
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
        QSIM_INLINE Quad times(const Factors<KIND>& by) const {
            const Quad turned = Quad{{pair[0].template times<KIND>(by.first),
                                      pair[1].template times<KIND>(by.first)}}
                                    .transposed();
            const Quad found = Quad{{turned.pair[0].template times<KIND>(by.second),
                                     turned.pair[1].template times<KIND>(by.second)}}
                                   .transposed();
            if constexpr (KIND == kDividedDense) {
                return {{found.pair[0].turned(by.same_re, by.same_im, by.other_re, by.other_im),
                         found.pair[1].turned(by.other_re, -by.other_im, by.same_re, -by.same_im)}};
            } else {
                return found;
            }
        }
    };

    // Sums of both items over quadruples.
    struct QuadSums {
        Sums<T> first, second;
        V corner[4]{};

        template <int KIND>
        QSIM_INLINE void add(const Quad& psi, const Quad& lambda) {
            const Quad psi_turned = psi.transposed(), lambda_turned = lambda.transposed();
            for (int q = 0; q < 2; ++q) {
                first.template add_flips<KIND>(psi.pair[q], lambda.pair[q]);
                second.template add_flips<KIND>(psi_turned.pair[q], lambda_turned.pair[q]);
                if constexpr (KIND == kDense || KIND == kDividedDense)
                    Sums<T>::add_diagonal(psi.pair[q], lambda.pair[q], corner[2 * q],
                                          corner[2 * q + 1]);
            }
        }

        void share_corners() {
            first.zero = corner[0] + corner[2], first.one = corner[1] + corner[3];
            second.zero = corner[0] + corner[1], second.one = corner[2] + corner[3];
        }
    };

    template <int KIND>
    static void apply(const View<T>& view, const Operation& operation, const T* own,
                      const Tile& tile, T* state) {
        const Corners corners(view, operation, tile);
        each_segment(view, operation, tile.base, [&](auto begin, auto end, uint32_t key) {
            for (int c = 0; c < C; ++c) {
                const Factors<KIND> factors(
                    Matrices<T>::matrix(view, operation.first, own, c, key & 1),
                    Matrices<T>::matrix(view, operation.second, own, c, key & 2));
                const Corners here = corners;  // in registers
                const int64_t* at = tile.at;
                T* data = state;
                for (const uint16_t* p = begin; p != end; ++p) {
                    const Places places(at[*p], here);
                    Quad psi;
                    psi.read(data, places, here, c);
                    psi.times(factors).write(data, places, here, c);
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
                const Factors<KIND> factors(
                    adjoint(Matrices<T>::matrix(view, operation.first, own, c, key & 1)),
                    adjoint(Matrices<T>::matrix(view, operation.second, own, c, key & 2)));
                QuadSums total;
                const Corners here = corners;
                const int64_t* at = tile.at;
                T *a = psi_state, *b = lambda_state;
                for (const uint16_t* p = begin; p != end; ++p) {
                    const Places places(at[*p], here);
                    Quad psi, lambda;
                    psi.read(a, places, here, c);
                    lambda.read(b, places, here, c);
                    total.template add<KIND>(psi, lambda);
                    psi.times(factors).write(a, places, here, c);
                    lambda.times(factors).write(b, places, here, c);
                }
                total.share_corners();
                Items<T>::add_sums(view, operation.first, total.first, key & 1, sums, c);
                Items<T>::add_sums(view, operation.second, total.second, key >> 1 & 1, sums, c);
            }
        });
    }

    // --- Choice of the loop ---

    static bool divided(const View<T>& view, const Operation& operation) {
        return view.divided[operation.first] && view.divided[operation.second];
    }

    static typename Items<T>::Apply apply_loop(const View<T>& view, const Operation& operation) {
        if (operation.kind == kDense)
            return divided(view, operation) ? apply<kDividedDense> : apply<kDense>;
        return divided(view, operation) ? apply<kTangent> : apply<kReal>;
    }

    static typename Items<T>::Undo undo_loop(const View<T>& view, const Operation& operation) {
        if (operation.kind == kDense)
            return divided(view, operation) ? undo<kDividedDense> : undo<kDense>;
        return divided(view, operation) ? undo<kTangent> : undo<kRotation>;
    }
};

}  // namespace
}  // namespace qsim::cpu
