// Pauli strings on the final state, in chunks of vectors: those that flip the same qubits are read
// in one pass, whose signs are a Walsh-Hadamard transform.
#pragma once

#include <algorithm>

#include "tiles.hpp"
#include "transform.hpp"

namespace qsim::cpu {
namespace {

template <class T>
struct Paulis {
    using V = typename Shape<T>::V;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;
    static constexpr int64_t kChunk = int64_t{1} << kChunkBits;
    // Fewer strings than this are summed up one by one.
    static constexpr int64_t kWorthATransform = 4;

    // A group on a chunk: vector begin + j meets partner + (j ^ within).
    struct Where {
        int64_t begin, partner, within;
        int bits;
        uint64_t mask;

        Where(const View<T>& view, const PauliGroup& group, int64_t begin)
            : begin(begin),
              bits(std::min(kChunkBits, view.num_qubits - view.lane_bits)),
              mask((uint64_t{1} << bits) - 1) {
            const auto flips = static_cast<int64_t>(group.x >> view.lane_bits);
            within = flips & static_cast<int64_t>(mask);
            partner = begin ^ (flips - within);
        }
        int64_t size() const { return int64_t{1} << bits; }
        const T* other(const T* psi, int64_t j) const {
            return psi + 2 * W * (partner + (j ^ within));
        }
    };

    static uint64_t row(const View<T>& view, const Pauli& pauli) {
        return pauli.z >> view.lane_bits;
    }
    static T sign(uint64_t row, int64_t vector) {
        return parity(row & static_cast<uint64_t>(vector)) ? T(-1) : T(1);
    }

    // --- Values: the real part of i^num_y sum_p conj(psi[p ^ x]) (+-1) psi[p], but for i^2 ---

    static void expval(const View<T>& view, int64_t begin, int64_t end, const T* psi,
                       double* totals) {
        alignas(64) T products[kChunk * W];
        for (int64_t chunk = begin; chunk < end; chunk += kChunk) {
            for (const PauliGroup* g = view.groups; g != view.groups + view.num_groups; ++g) {
                const Where where(view, *g, chunk);
                const bool even = has(view, *g, 0), odd = has(view, *g, 1);
                // p and p ^ x have the same part in a string's value: one of two chunks will do.
                const bool halved = where.partner != chunk && !(even && odd);
                if (halved && where.partner < chunk) continue;
                const T factor = halved ? T(2) : T(1);
                if (g->end - g->begin < kWorthATransform) {
                    for (int64_t k = g->begin; k < g->end; ++k) {
                        const auto loop =
                            view.paulis[k].num_y & 1 ? add_value<true> : add_value<false>;
                        loop(view, *g, view.paulis[k], where, psi, factor, totals + k * W);
                    }
                } else {
                    overlaps(view, *g, even, odd, where, psi, products);
                    walsh_hadamard(where.bits, products, W);
                    for (int64_t k = g->begin; k < g->end; ++k)
                        pick(view, view.paulis[k], where, products, factor, totals + k * W);
                }
            }
        }
    }

    // Whether a string of the group has an odd (or even) number of Y.
    static bool has(const View<T>& view, const PauliGroup& group, int odd) {
        for (int64_t k = group.begin; k < group.end; ++k) {
            if ((view.paulis[k].num_y & 1) == odd) return true;
        }
        return false;
    }

    // Re (even number of Y) or -Im (odd) of conj(psi[p ^ x]) psi[p].
    template <bool ODD>
    QSIM_INLINE static V overlap(const V& to_re, const V& to_im, const V& re, const V& im) {
        return ODD ? to_im * re - to_re * im : to_re * re + to_im * im;
    }

    template <bool ODD>
    static void add_value(const View<T>& view, const PauliGroup& group, const Pauli& pauli,
                          const Where& where, const T* psi, T factor, double* total) {
        const Partner<T, true> partner(Matrices<T>::lane_distance(view, group.x));
        for (int c = 0; c < C; ++c) {
            V sum{};
            for (int64_t j = 0; j < where.size(); ++j) {
                const T *from = psi + 2 * W * (where.begin + j) + c * N, *to = where.other(psi, j);
                const V product = overlap<ODD>(partner.read(to, c), partner.read(to + W, c),
                                               load<V>(from), load<V>(from + W));
                sum += sign(row(view, pauli), where.begin + j) * product;
            }
            add(sum, factor, total + c * N);
        }
    }

    // Strings of both kinds take the sum: whichever is not meant cancels between p and p ^ x.
    static void overlaps(const View<T>& view, const PauliGroup& group, bool even, bool odd,
                         const Where& where, const T* psi, T* products) {
        const Partner<T, true> partner(Matrices<T>::lane_distance(view, group.x));
        for (int c = 0; c < C; ++c) {
            for (int64_t j = 0; j < where.size(); ++j) {
                const T *from = psi + 2 * W * (where.begin + j) + c * N, *to = where.other(psi, j);
                const V re = load<V>(from), im = load<V>(from + W);
                const V to_re = partner.read(to, c), to_im = partner.read(to + W, c);
                V sum{};
                if (even) sum += overlap<false>(to_re, to_im, re, im);
                if (odd) sum += overlap<true>(to_re, to_im, re, im);
                store(products + j * W + c * N, sum);
            }
        }
    }

    static void pick(const View<T>& view, const Pauli& pauli, const Where& where, const T* products,
                     T factor, double* total) {
        const uint64_t local = row(view, pauli) & where.mask;
        for (int c = 0; c < C; ++c) {
            add(load<V>(products + static_cast<int64_t>(local) * W + c * N),
                factor * sign(row(view, pauli), where.begin), total + c * N);
        }
    }

    // A long sum of small terms would lose them in single precision.
    static void add(const V& values, T factor, double* total) {
        for (int l = 0; l < N; ++l) total[l] += static_cast<double>(factor * values[l]);
    }

    // --- lambda = sum over paulis of weights P psi; the weights know of i^2 and of lanes ---

    static void seed(const View<T>& view, int64_t begin, int64_t end, const T* psi,
                     const T* weights, T* lambda) {
        alignas(64) T factors[2][kChunk * W];
        for (int64_t chunk = begin; chunk < end; chunk += kChunk) {
            const int64_t size = std::min(kChunk, end - chunk);
            std::fill(lambda + 2 * W * chunk, lambda + 2 * W * (chunk + size), T(0));
            for (const PauliGroup* g = view.groups; g != view.groups + view.num_groups; ++g) {
                const Where where(view, *g, chunk);
                if (g->end - g->begin < kWorthATransform) {
                    for (int64_t k = g->begin; k < g->end; ++k) {
                        const auto loop = view.paulis[k].num_y & 1 ? add_one<true> : add_one<false>;
                        loop(view, *g, view.paulis[k], where, psi, weights + k * W, lambda);
                    }
                    continue;
                }
                const bool even = has(view, *g, 0), odd = has(view, *g, 1);
                if (even) collect(view, *g, where, 0, weights, factors[0]);
                if (odd) collect(view, *g, where, 1, weights, factors[1]);
                const auto loop = !odd    ? add_products<true, false>
                                  : !even ? add_products<false, true>
                                          : add_products<true, true>;
                loop(view, *g, where, psi, factors, lambda);
            }
        }
    }

    template <bool ODD>
    static void add_one(const View<T>& view, const PauliGroup& group, const Pauli& pauli,
                        const Where& where, const T* psi, const T* weights, T* lambda) {
        const Partner<T, true> partner(Matrices<T>::lane_distance(view, group.x));
        for (int c = 0; c < C; ++c) {
            const V weight = partner.read(weights, c);
            for (int64_t j = 0; j < where.size(); ++j) {
                const T* from = where.other(psi, j);
                T* to = lambda + 2 * W * (where.begin + j) + c * N;
                const V factor =
                    weight * sign(row(view, pauli), where.partner + (j ^ where.within));
                const V re = partner.read(from, c), im = partner.read(from + W, c);
                store(to, load<V>(to) + (ODD ? -factor * im : factor * re));
                store(to + W, load<V>(to + W) + (ODD ? factor * re : factor * im));
            }
        }
    }

    // What the strings with an even or odd number of Y multiply the partners' vectors with.
    static void collect(const View<T>& view, const PauliGroup& group, const Where& where, int odd,
                        const T* weights, T* factors) {
        std::fill(factors, factors + where.size() * W, T(0));
        for (int64_t k = group.begin; k < group.end; ++k) {
            const Pauli& pauli = view.paulis[k];
            if ((pauli.num_y & 1) != odd) continue;
            const uint64_t z = row(view, pauli);
            add_weight(weights + k * W, sign(z, where.partner),
                       factors + static_cast<int64_t>(z & where.mask) * W);
        }
        walsh_hadamard(where.bits, factors, W);
    }

    static void add_weight(const T* weights, T sign, T* factors) {
        for (int c = 0; c < C; ++c)
            store(factors + c * N, load<V>(factors + c * N) + sign * load<V>(weights + c * N));
    }

    template <bool EVEN, bool ODD>
    static void add_products(const View<T>& view, const PauliGroup& group, const Where& where,
                             const T* psi, const T (*factors)[kChunk * W], T* lambda) {
        const Partner<T, true> partner(Matrices<T>::lane_distance(view, group.x));
        for (int c = 0; c < C; ++c) {
            for (int64_t j = 0; j < where.size(); ++j) {
                const T* from = where.other(psi, j);
                T* to = lambda + 2 * W * (where.begin + j) + c * N;
                const int64_t at = (j ^ where.within) * W;
                const V re = partner.read(from, c), im = partner.read(from + W, c);
                V sum_re = load<V>(to), sum_im = load<V>(to + W);
                if constexpr (EVEN) {
                    const V even = partner.read(factors[0] + at, c);
                    sum_re += even * re, sum_im += even * im;
                }
                if constexpr (ODD) {
                    const V odd = partner.read(factors[1] + at, c);
                    sum_re -= odd * im, sum_im += odd * re;
                }
                store(to, sum_re);
                store(to + W, sum_im);
            }
        }
    }
};

}  // namespace
}  // namespace qsim::cpu
