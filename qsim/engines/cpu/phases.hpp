// Layers of phases: tables from angles, one multiplication an amplitude, and sums for all their
// gradients at once.
#pragma once

#include "tiles.hpp"
#include "transform.hpp"

namespace qsim::cpu {
namespace {

template <class T>
struct Phases {
    using V = typename Shape<T>::V;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;

    // The phases of one register of a vector.
    struct Phase {
        V re, im;

        Phase(const View<T>& view, const T* table, int64_t at, int c) {
            if (view.lane_bits) {
                re = load<V>(table + at + c * N), im = load<V>(table + at + W + c * N);
            } else {
                re = splat<V>(table[at / W]), im = splat<V>(table[at / W + 1]);
            }
        }
        void turn(T* amplitude) const {
            const V r = load<V>(amplitude), i = load<V>(amplitude + W);
            store(amplitude, re * r - im * i);
            store(amplitude + W, re * i + im * r);
        }
        void turn_back(T* amplitude) const {
            const V r = load<V>(amplitude), i = load<V>(amplitude + W);
            store(amplitude, re * r + im * i);
            store(amplitude + W, re * i - im * r);
        }
    };

    static void apply(const View<T>& view, const T* table, const Tile& tile, int count, T* state) {
        for (int j = 0; j < count; ++j) {
            for (int c = 0; c < C; ++c)
                Phase(view, table, tile.at[j], c).turn(state + tile.at[j] + c * N);
        }
    }

    // Undoes the phases, and leaves Im(conj(lambda) psi), summed over samples, at each address.
    static void undo(const View<T>& view, const T* table, const Tile& tile, int count, T* psi,
                     T* lambda, T* sums) {
        for (int j = 0; j < count; ++j) {
            const int64_t at = tile.at[j];
            V products[C];
            for (int c = 0; c < C; ++c) {
                T *a = psi + at + c * N, *b = lambda + at + c * N;
                const Phase phase(view, table, at, c);
                phase.turn_back(a);
                phase.turn_back(b);
                products[c] = load<V>(b) * load<V>(a + W) - load<V>(b + W) * load<V>(a);
            }
            put_samples(view, products, sums + ((at / (2 * W)) << view.lane_bits));
        }
    }

    static void put_samples(const View<T>& view, const V* products, T* sums) {
        if (view.lane_bits == 0) {
            V total = products[0];
            for (int c = 1; c < C; ++c) total += products[c];
            *sums = sum_of<T, N>(total);
            return;
        }
        alignas(64) T lanes[W];
        for (int c = 0; c < C; ++c) store(lanes + c * N, products[c]);
        const int width = 1 << view.lane_bits;
        for (int l = width; l < W; ++l) lanes[l & (width - 1)] += lanes[l];
        std::memcpy(sums, lanes, sizeof(T) * static_cast<size_t>(width));
    }

    // From the sums at all addresses to those of I and Z of the layer's items.
    static void gradients(const View<T>& view, const Layer& layer, double undone, T* sums,
                          double* generators) {
        walsh_hadamard(view.num_qubits, sums);
        for (int t = layer.term_begin; t < layer.term_end; ++t) {
            const Term& term = view.terms[t];
            if (term.part == kBefore) continue;
            const Item& item = view.items[term.item];
            const double sign = item.flip ? -1 : 1;
            each_character(item, view.controls, [&](double weight, uint64_t rows) {
                generators[4 * term.item] += undone * weight * sums[rows];
                generators[4 * term.item + 3] += undone * weight * sign * sums[rows ^ item.row];
            });
        }
    }

    static void make_table(const View<T>& view, double* coefficients, double scale, T* table) {
        walsh_hadamard(view.num_qubits, coefficients);
        constexpr int kStep = 16;
        const int64_t size = int64_t{1} << view.num_qubits;
        alignas(64) double angles[kStep]{}, sines[kStep], cosines[kStep];
        for (int64_t p = 0; p < size; p += kStep) {
            const int count = size < kStep ? static_cast<int>(size) : kStep;
            for (int k = 0; k < count; ++k) angles[k] = coefficients[p + k];
            sincos<double, kStep>(angles, sines, cosines);
            for (int k = 0; k < kStep; ++k) sines[k] *= scale, cosines[k] *= scale;
            for (int k = 0; k < count; ++k) {
                if (view.lane_bits == 0) {
                    table[2 * (p + k)] = static_cast<T>(cosines[k]);
                    table[2 * (p + k) + 1] = static_cast<T>(sines[k]);
                } else {
                    put(view, p + k, static_cast<T>(cosines[k]), static_cast<T>(sines[k]), table);
                }
            }
        }
    }

    // The phase of an address in the lanes of all samples.
    static void put(const View<T>& view, int64_t address, T re, T im, T* table) {
        const int width = 1 << view.lane_bits;
        T* vector = table + (address >> view.lane_bits) * 2 * W;
        for (int l = static_cast<int>(address & (width - 1)); l < W; l += width)
            vector[l] = re, vector[W + l] = im;
    }
};

}  // namespace
}  // namespace qsim::cpu
