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
                if (g->end - g->begin < kWorthATransform) {
                    for (int64_t k = g->begin; k < g->end; ++k) {
                        overlaps(view, *g, k, k + 1, where, psi, products);
                        alternate(view, view.paulis[k], where, products, totals + k * W);
                    }
                } else {
                    overlaps(view, *g, g->begin, g->end, where, psi, products);
                    walsh_hadamard(where.bits, products, W);
                    for (int64_t k = g->begin; k < g->end; ++k)
                        pick(view, view.paulis[k], where, products, totals + k * W);
                }
            }
        }
    }

    // Re (even number of Y) or -Im (odd) of conj(psi[p ^ x]) psi[p]. Strings of both kinds take the
    // sum: whichever is not meant cancels between p and p ^ x.
    static void overlaps(const View<T>& view, const PauliGroup& group, int64_t begin, int64_t end,
                         const Where& where, const T* psi, T* products) {
        const Partner<T, true> partner(Matrices<T>::lane_distance(view, group.x));
        T even = 0, odd = 0;
        for (int64_t k = begin; k < end; ++k) (view.paulis[k].num_y & 1 ? odd : even) = 1;
        for (int c = 0; c < C; ++c) {
            for (int64_t j = 0; j < where.size(); ++j) {
                const T* from = psi + 2 * W * (where.begin + j) + c * N;
                const T* other = where.other(psi, j);
                const V re = load<V>(from), im = load<V>(from + W);
                const V to_re = partner.read(other, c), to_im = partner.read(other + W, c);
                store(products + j * W + c * N,
                      even * (to_re * re + to_im * im) + odd * (to_im * re - to_re * im));
            }
        }
    }

    static void alternate(const View<T>& view, const Pauli& pauli, const Where& where,
                          const T* products, double* total) {
        for (int c = 0; c < C; ++c) {
            V sum{};
            for (int64_t j = 0; j < where.size(); ++j)
                sum += sign(row(view, pauli), where.begin + j) * load<V>(products + j * W + c * N);
            add(sum, T(1), total + c * N);
        }
    }

    static void pick(const View<T>& view, const Pauli& pauli, const Where& where, const T* products,
                     double* total) {
        const uint64_t local = row(view, pauli) & where.mask;
        for (int c = 0; c < C; ++c) {
            add(load<V>(products + static_cast<int64_t>(local) * W + c * N),
                sign(row(view, pauli), where.begin), total + c * N);
        }
    }

    // A long sum of small terms would lose them in single precision.
    static void add(const V& values, T sign, double* total) {
        for (int l = 0; l < N; ++l) total[l] += static_cast<double>(sign * values[l]);
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
                bool some[2] = {false, false};
                for (int64_t k = g->begin; k < g->end; ++k) some[view.paulis[k].num_y & 1] = true;
                for (int odd = 0; odd < 2; ++odd) {
                    if (some[odd]) collect(view, *g, where, odd, weights, factors[odd]);
                }
                if (some[0] && some[1]) {
                    add_products<true, true>(view, *g, where, psi, factors, lambda);
                } else if (some[0]) {
                    add_products<true, false>(view, *g, where, psi, factors, lambda);
                } else {
                    add_products<false, true>(view, *g, where, psi, factors, lambda);
                }
            }
        }
    }

    // What the strings with an even or odd number of Y multiply the partners' vectors with.
    static void collect(const View<T>& view, const PauliGroup& group, const Where& where, int odd,
                        const T* weights, T* factors) {
        const bool transform = group.end - group.begin >= kWorthATransform;
        std::fill(factors, factors + where.size() * W, T(0));
        for (int64_t k = group.begin; k < group.end; ++k) {
            const Pauli& pauli = view.paulis[k];
            if ((pauli.num_y & 1) != odd) continue;
            const uint64_t z = row(view, pauli);
            if (transform) {
                add_weight(weights + k * W, sign(z, where.partner),
                           factors + static_cast<int64_t>(z & where.mask) * W);
            } else {
                for (int64_t j = 0; j < where.size(); ++j)
                    add_weight(weights + k * W, sign(z, where.partner + j), factors + j * W);
            }
        }
        if (transform) walsh_hadamard(where.bits, factors, W);
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
