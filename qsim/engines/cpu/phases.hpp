// Layers of phases: tables from angles, one multiplication an amplitude, and sums for all their
// gradients at once.
#pragma once

#include "items.hpp"

namespace qsim::cpu {
namespace {

// In place; its own inverse up to 2^n.
template <class T>
void walsh_hadamard(int num_qubits, T* values) {
    const int64_t size = int64_t{1} << num_qubits;
    for (int64_t half = 1; half < size; half *= 2) {
        for (int64_t begin = 0; begin < size; begin += 2 * half) {
            T *a = values + begin, *b = a + half;
            for (int64_t k = 0; k < half; ++k) {
                const T sum = a[k] + b[k], difference = a[k] - b[k];
                a[k] = sum, b[k] = difference;
            }
        }
    }
}

template <class T, int W>
struct Phases {
    using V = typename Matrices<T, W>::V;
    static constexpr int N = Matrices<T, W>::N, C = Matrices<T, W>::C;

    static void turn(T* amplitude, T re, T im) {
        for (int c = 0; c < C; ++c) {
            T* at = amplitude + c * N;
            const V r = load<V>(at), i = load<V>(at + W), pr = splat<V>(re), pi = splat<V>(im);
            store(at, pr * r - pi * i);
            store(at + W, pr * i + pi * r);
        }
    }

    static void apply(const T* phases, const Tile& tile, int count, T* state) {
        for (int j = 0; j < count; ++j) {
            const int64_t at = tile.at[j];
            turn(state + at, phases[at / W], phases[at / W + 1]);
        }
    }

    // Leaves the batch's sum of Im(conj(lambda) psi) at each address, then undoes the phases.
    static void undo(const T* phases, const Tile& tile, int count, T* psi, T* lambda, T* sums) {
        for (int j = 0; j < count; ++j) {
            const int64_t at = tile.at[j];
            T *a = psi + at, *b = lambda + at;
            V total{};
            for (int c = 0; c < C; ++c) {
                total += load<V>(b + c * N) * load<V>(a + c * N + W) -
                         load<V>(b + c * N + W) * load<V>(a + c * N);
            }
            sums[at / (2 * W)] = sum_of<T, N>(total);
            turn(a, phases[at / W], -phases[at / W + 1]);
            turn(b, phases[at / W], -phases[at / W + 1]);
        }
    }

    // From the sums at all addresses to those of I and Z of the layer's items.
    static void add_sums(const View<T>& view, const Layer& layer, T* sums, double* generators) {
        walsh_hadamard(view.num_qubits, sums);
        for (int t = layer.term_begin; t < layer.term_end; ++t) {
            const Term& term = view.terms[t];
            if (term.part == kBefore) continue;
            const Item& item = view.items[term.item];
            const double sign = item.flip ? -1 : 1;
            item.each_character([&](double weight, uint64_t rows) {
                generators[4 * term.item] += weight * sums[rows];
                generators[4 * term.item + 3] += weight * sign * sums[rows ^ item.row];
            });
        }
    }

    static void make_table(int num_qubits, double* coefficients, T* table) {
        walsh_hadamard(num_qubits, coefficients);
        constexpr int kStep = 16;
        const int64_t size = int64_t{1} << num_qubits;
        alignas(64) double angles[kStep]{}, sines[kStep], cosines[kStep];
        for (int64_t p = 0; p < size; p += kStep) {
            const int count = size < kStep ? static_cast<int>(size) : kStep;
            for (int k = 0; k < count; ++k) angles[k] = coefficients[p + k];
            sincos<double, kStep>(angles, sines, cosines);
            for (int k = 0; k < count; ++k) {
                table[2 * (p + k)] = static_cast<T>(cosines[k]);
                table[2 * (p + k) + 1] = static_cast<T>(sines[k]);
            }
        }
    }
};

}  // namespace
}  // namespace qsim::cpu
