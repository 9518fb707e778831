// Items one at a time: apply to a tile, or undo with the sums that gradients need.
#pragma once

#include "tiles.hpp"

namespace qsim::cpu {
namespace {

// Kinds of loops for matrices divided by their cosines, see prepared.hpp: [[1, -t], [t, 1]], and
// diag(p, p*) [[1, t], [-t*, 1]].
constexpr int kTangent = kMatrixItem + 1, kDividedDense = kMatrixItem + 2;

// Amplitudes of a qubit at 0 and at 1.
template <class T>
struct Pair {
    using V = typename Shape<T>::V;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N;
    V r0, i0, r1, i1;

    template <class P>
    QSIM_INLINE void read(const T* a, const T* b, const P& partner, int c) {
        r0 = load<V>(a + c * N), i0 = load<V>(a + W + c * N);
        r1 = partner.read(b, c), i1 = partner.read(b + W, c);
    }
    template <class P>
    QSIM_INLINE void write(T* a, T* b, const P& partner, int c) const {
        write_first(a, c);
        partner.write(b, c, r1), partner.write(b + W, c, i1);
    }
    QSIM_INLINE void write_first(T* a, int c) const {
        store(a + c * N, r0), store(a + W + c * N, i0);
    }

    QSIM_INLINE Pair turned(const V& re0, const V& im0, const V& re1, const V& im1) const {
        return {re0 * r0 - im0 * i0, re0 * i0 + im0 * r0, re1 * r1 - im1 * i1, re1 * i1 + im1 * r1};
    }
    template <int KIND>
    QSIM_INLINE Pair times(const Matrix2<V>& m) const {
        if constexpr (KIND == kDense) {
            return {m.re[0] * r0 - m.im[0] * i0 + m.re[1] * r1 - m.im[1] * i1,
                    m.re[0] * i0 + m.im[0] * r0 + m.re[1] * i1 + m.im[1] * r1,
                    m.re[2] * r0 - m.im[2] * i0 + m.re[3] * r1 - m.im[3] * i1,
                    m.re[2] * i0 + m.im[2] * r0 + m.re[3] * i1 + m.im[3] * r1};
        } else if constexpr (KIND == kDividedDense) {  // but for its phases
            return {r0 + m.re[1] * r1 - m.im[1] * i1, i0 + m.re[1] * i1 + m.im[1] * r1,
                    r1 + m.re[2] * r0 - m.im[2] * i0, i1 + m.re[2] * i0 + m.im[2] * r0};
        } else if constexpr (KIND == kTangent) {
            return {r0 + m.re[1] * r1, i0 + m.re[1] * i1, m.re[2] * r0 + r1, m.re[2] * i0 + i1};
        } else {
            return {m.re[0] * r0 + m.re[1] * r1, m.re[0] * i0 + m.re[1] * i1,
                    m.re[2] * r0 + m.re[3] * r1, m.re[2] * i0 + m.re[3] * i1};
        }
    }
};

// Sums of Im<lambda|P|psi> over pairs: of the two diagonal entries, and for X and Y.
template <class T>
struct Sums {
    using V = typename Shape<T>::V;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N;
    V zero{}, one{}, x{}, y{};

    QSIM_INLINE static void add_diagonal(const Pair<T>& psi, const Pair<T>& lambda, V& zero,
                                         V& one) {
        zero += lambda.r0 * psi.i0 - lambda.i0 * psi.r0;
        one += lambda.r1 * psi.i1 - lambda.i1 * psi.r1;
    }
    QSIM_INLINE void add_x(const Pair<T>& psi, const Pair<T>& lambda) {
        x += lambda.r0 * psi.i1 - lambda.i0 * psi.r1 + lambda.r1 * psi.i0 - lambda.i1 * psi.r0;
    }
    QSIM_INLINE void add_y(const Pair<T>& psi, const Pair<T>& lambda) {
        y += lambda.r1 * psi.r0 + lambda.i1 * psi.i0 - lambda.r0 * psi.r1 - lambda.i0 * psi.i1;
    }
    template <int KIND>
    QSIM_INLINE void add_flips(const Pair<T>& psi, const Pair<T>& lambda) {
        if constexpr (KIND != kReal) add_x(psi, lambda);
        add_y(psi, lambda);
    }
    template <int KIND>
    QSIM_INLINE void add(const Pair<T>& psi, const Pair<T>& lambda) {
        if constexpr (KIND == kDense) add_diagonal(psi, lambda, zero, one);
        add_flips<KIND>(psi, lambda);
    }

    // To sums[4][W] for I, X, Y, Z, from lanes with these weights; where the first of a pair had
    // the qubit at 1, Y and Z change their sign.
    void add_to(T* sums, const T* signs, bool first_is_one, const V& weights, int c) const {
        V sign = signs ? load<V>(signs) : splat<V>(T(1));
        if (first_is_one) sign = -sign;
        const V terms[4] = {zero + one, x, y * sign, (zero - one) * sign};
        for (int g = 0; g < 4; ++g) {
            T* to = sums + g * W + c * N;
            store(to, load<V>(to) + terms[g] * weights);
        }
    }
};

template <class T>
struct Items {
    using V = typename Shape<T>::V;
    using Lanes = Matrix2<V>;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;

    // Calls visit(first index, last index, active lanes, whether the first of a pair is 1) where
    // there are active ones.
    template <class Visit>
    static void each_active(const View<T>& view, const Operation& operation, const Tile& tile,
                            Visit visit) {
        each_segment(view, operation, tile.base,
                     [&](const uint16_t* begin, const uint16_t* end, uint32_t key) {
                         const Active<T> active(view, view.items[operation.first], key);
                         if (!active.none) visit(begin, end, active, key & 1);
                     });
    }

    static Lanes matrix(const View<T>& view, const Operation& operation, const T* own,
                        const Active<T>& active, int c, bool one) {
        Lanes m = Matrices<T>::matrix(view, operation.first, own, c, one);
        active.restrict(m, c);
        return m;
    }

    // --- Pairs of vectors, or of lanes of one vector ---

    template <int KIND, bool MOVED>
    static void apply_pairs(const View<T>& view, const Operation& operation, const T* own,
                            const Tile& tile, T* state) {
        const Partner<T, MOVED> partner(
            Matrices<T>::lane_distance(view, view.items[operation.first].mask));
        const int64_t step = tile.step(operation.mask[0]);
        each_active(view, operation, tile, [&](auto begin, auto end, const auto& active, bool one) {
            for (int c = 0; c < C; ++c) {
                const Lanes m = matrix(view, operation, own, active, c, one);
                for (const uint16_t* p = begin; p != end; ++p) {
                    T *a = state + tile.at[*p], *b = state + (tile.at[*p] ^ step);
                    Pair<T> psi;
                    psi.read(a, b, partner, c);
                    psi.template times<KIND>(m).write(a, b, partner, c);
                }
            }
        });
    }

    template <int KIND>
    static void apply_lanes(const View<T>& view, const Operation& operation, const T* own,
                            const Tile& tile, T* state) {
        const Partner<T, true> partner(
            Matrices<T>::lane_distance(view, view.items[operation.first].mask));
        each_active(view, operation, tile, [&](auto begin, auto end, const auto& active, bool one) {
            Lanes m[C];
            for (int c = 0; c < C; ++c) m[c] = matrix(view, operation, own, active, c, one);
            for (const uint16_t* p = begin; p != end; ++p) {
                T* a = state + tile.at[*p];
                Pair<T> psi[C];
                for (int c = 0; c < C; ++c) psi[c].read(a, a, partner, c);
                for (int c = 0; c < C; ++c) psi[c].template times<KIND>(m[c]).write_first(a, c);
            }
        });
    }

    // Adds to the item's sums if it has angles, then undoes it on psi and lambda.
    template <int KIND, bool MOVED, bool SUMS>
    static void undo_pairs(const View<T>& view, const Operation& operation, const T* own,
                           const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        const Item& item = view.items[operation.first];
        const Partner<T, MOVED> partner(Matrices<T>::lane_distance(view, item.mask));
        const int64_t step = tile.step(operation.mask[0]);
        each_active(view, operation, tile, [&](auto begin, auto end, const auto& active, bool one) {
            for (int c = 0; c < C; ++c) {
                const Lanes m = adjoint(matrix(view, operation, own, active, c, one));
                Sums<T> total;
                for (const uint16_t* p = begin; p != end; ++p) {
                    const int64_t a = tile.at[*p], b = a ^ step;
                    Pair<T> psi, lambda;
                    psi.read(psi_state + a, psi_state + b, partner, c);
                    lambda.read(lambda_state + a, lambda_state + b, partner, c);
                    if constexpr (SUMS) total.template add<KIND>(psi, lambda);
                    psi.template times<KIND>(m).write(psi_state + a, psi_state + b, partner, c);
                    lambda.template times<KIND>(m).write(lambda_state + a, lambda_state + b,
                                                         partner, c);
                }
                if constexpr (SUMS)
                    add_sums(view, operation.first, total, one, sums, c, active.lanes(c));
            }
        });
    }

    template <int KIND>
    static void undo_lanes(const View<T>& view, const Operation& operation, const T* own,
                           const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        const Item& item = view.items[operation.first];
        const Partner<T, true> partner(Matrices<T>::lane_distance(view, item.mask));
        each_active(view, operation, tile, [&](auto begin, auto end, const auto& active, bool one) {
            Lanes m[C];
            Sums<T> total[C];
            for (int c = 0; c < C; ++c)
                m[c] = adjoint(matrix(view, operation, own, active, c, one));
            for (const uint16_t* p = begin; p != end; ++p) {
                T *a = psi_state + tile.at[*p], *b = lambda_state + tile.at[*p];
                Pair<T> psi[C], lambda[C];
                for (int c = 0; c < C; ++c) {
                    psi[c].read(a, a, partner, c);
                    lambda[c].read(b, b, partner, c);
                    total[c].template add<KIND>(psi[c], lambda[c]);
                }
                for (int c = 0; c < C; ++c) {
                    psi[c].template times<KIND>(m[c]).write_first(a, c);
                    lambda[c].template times<KIND>(m[c]).write_first(b, c);
                }
            }
            // Each pair was seen from both of its lanes.
            for (int c = 0; c < C; ++c)
                add_sums(view, operation.first, total[c], one, sums, c, active.lanes(c) / 2);
        });
    }

    static void add_sums(const View<T>& view, int32_t item, const Sums<T>& total, bool one, T* sums,
                         int c, const V& weights = splat<V>(T(1))) {
        total.add_to(sums + int64_t{4} * W * item,
                     Matrices<T>::lane_signs(view, view.items[item].row, c), one,
                     weights * view.undone[item], c);
    }

    // --- Diagonal items, vector by vector ---

    static void turn(T* at, const V& re, const V& im) {
        const V r = load<V>(at), i = load<V>(at + W);
        store(at, re * r - im * i);
        store(at + W, re * i + im * r);
    }

    static void apply_solos(const View<T>& view, const Operation& operation, const T* own,
                            const Tile& tile, T* state) {
        each_active(view, operation, tile, [&](auto begin, auto end, const auto& active, bool one) {
            for (int c = 0; c < C; ++c) {
                const Lanes m = matrix(view, operation, own, active, c, one);
                for (const uint16_t* p = begin; p != end; ++p)
                    turn(state + tile.at[*p] + c * N, m.re[0], m.im[0]);
            }
        });
    }

    static void undo_solos(const View<T>& view, const Operation& operation, const T* own,
                           const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        each_active(view, operation, tile, [&](auto begin, auto end, const auto& active, bool one) {
            for (int c = 0; c < C; ++c) {
                const Lanes m = matrix(view, operation, own, active, c, one);
                Sums<T> total;
                for (const uint16_t* p = begin; p != end; ++p) {
                    T *a = psi_state + tile.at[*p] + c * N, *b = lambda_state + tile.at[*p] + c * N;
                    total.zero += load<V>(b) * load<V>(a + W) - load<V>(b + W) * load<V>(a);
                    turn(a, m.re[0], -m.im[0]);
                    turn(b, m.re[0], -m.im[0]);
                }
                add_sums(view, operation.first, total, one, sums, c, active.lanes(c));
            }
        });
    }

    // --- Choice of the loop ---

    using Apply = void (*)(const View<T>&, const Operation&, const T*, const Tile&, T*);
    using Undo = void (*)(const View<T>&, const Operation&, const T*, const Tile&, T*, T*, T*);

    static bool moved(const View<T>& view, const Operation& operation) {
        return Matrices<T>::lane_distance(view, view.items[operation.first].mask) != 0;
    }

    static Apply apply_loop(const View<T>& view, const Operation& operation) {
        if (operation.pass == kSolos) return apply_solos;
        if (operation.kind == kDense) return apply_loop_of<kDense>(view, operation);
        if (view.divided[operation.first]) return apply_loop_of<kTangent>(view, operation);
        return apply_loop_of<kReal>(view, operation);
    }

    template <int KIND>
    static Apply apply_loop_of(const View<T>& view, const Operation& operation) {
        if (operation.pass == kWithin) return apply_lanes<KIND>;
        return moved(view, operation) ? apply_pairs<KIND, true> : apply_pairs<KIND, false>;
    }

    template <int KIND>
    static Undo undo_loop_of(const View<T>& view, const Operation& operation) {
        if (operation.pass == kWithin) return undo_lanes<KIND>;
        const bool sums = view.items[operation.first].depends;
        if (moved(view, operation))
            return sums ? undo_pairs<KIND, true, true> : undo_pairs<KIND, true, false>;
        return sums ? undo_pairs<KIND, false, true> : undo_pairs<KIND, false, false>;
    }

    static Undo undo_loop(const View<T>& view, const Operation& operation) {
        if (operation.pass == kSolos) return undo_solos;
        if (operation.kind == kReal) return undo_loop_of<kReal>(view, operation);
        if (operation.kind == kDense) return undo_loop_of<kDense>(view, operation);
        if (view.divided[operation.first]) return undo_loop_of<kTangent>(view, operation);
        return undo_loop_of<kRotation>(view, operation);
    }

    static void apply(const View<T>& view, const Operation& operation, const T* own,
                      const Tile& tile, T* state) {
        apply_loop(view, operation)(view, operation, own, tile, state);
    }

    static void undo(const View<T>& view, const Operation& operation, const T* own,
                     const Tile& tile, T* psi, T* lambda, T* sums) {
        undo_loop(view, operation)(view, operation, own, tile, psi, lambda, sums);
    }
};

}  // namespace
}  // namespace qsim::cpu
