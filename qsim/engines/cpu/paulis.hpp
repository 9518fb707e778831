// Pauli strings on the final state.
#pragma once

#include "matrices.hpp"

namespace qsim::cpu {
namespace {

template <class T, int W>
struct Paulis {
    using V = typename Matrices<T, W>::V;
    static constexpr int N = Matrices<T, W>::N, C = Matrices<T, W>::C;

    static bool odd(const Pauli& pauli, uint64_t p) {
        return parity(pauli.z & p) ^ static_cast<uint64_t>(pauli.sign);
    }

    static void expval(const View<T>& view, int64_t first, const T* psi, T* values) {
        const uint64_t size = uint64_t{1} << view.num_qubits;
        for (int k = 0; k < view.num_paulis; ++k) {
            const Pauli& pauli = view.paulis[k];
            double totals[W]{};  // a long sum of small terms would lose them in single precision
            for (uint64_t begin = 0; begin < size; begin += kChunk) {
                alignas(64) T sums[W];
                sum_chunk(pauli, psi, begin, size < begin + kChunk ? size : begin + kChunk, sums);
                for (int l = 0; l < W; ++l) totals[l] += sums[l];
            }
            for (int l = 0; l < W && first + l < view.angles.batch; ++l) {
                const double value = pauli.num_y & 2 ? -totals[l] : totals[l];
                values[(first + l) * view.num_paulis + k] = static_cast<T>(value);
            }
        }
    }

    static constexpr uint64_t kChunk = 256;

    // <psi|P|psi> = sum_p conj(psi[p ^ x]) i^num_y (+-1) psi[p], of which only the real part is
    // left in the end: adds it up over addresses from begin to end, but for the sign of i^2.
    static void sum_chunk(const Pauli& pauli, const T* psi, uint64_t begin, uint64_t end, T* sums) {
        for (int c = 0; c < C; ++c) {
            V sum{};
            for (uint64_t p = begin; p < end; ++p) {
                const T* from = psi + 2 * W * p + c * N;
                const T* to = psi + 2 * W * (p ^ pauli.x) + c * N;
                const V re = load<V>(from), im = load<V>(from + W);
                const V tr = load<V>(to), ti = load<V>(to + W);
                const V term = pauli.num_y & 1 ? ti * re - tr * im : tr * re + ti * im;
                sum += term * splat<V>(odd(pauli, p) ? T(-1) : T(1));
            }
            store(sums + c * N, sum);
        }
    }

    static void seed(const View<T>& view, int64_t first, const T* psi, const T* cotangent,
                     T* lambda) {
        const uint64_t size = uint64_t{1} << view.num_qubits;
        std::memset(lambda, 0, sizeof(T) * 2 * W * size);
        for (int k = 0; k < view.num_paulis; ++k) {
            const Pauli& pauli = view.paulis[k];
            alignas(64) T weight[W];
            for (int l = 0; l < W; ++l) {
                weight[l] = first + l < view.angles.batch
                                ? cotangent[(first + l) * view.num_paulis + k]
                                : T(0);
                if (pauli.num_y & 2) weight[l] = -weight[l];
            }
            for (int c = 0; c < C; ++c) {
                const V w = load<V>(weight + c * N);
                for (uint64_t p = 0; p < size; ++p) {
                    const T* from = psi + 2 * W * p + c * N;
                    T* to = lambda + 2 * W * (p ^ pauli.x) + c * N;
                    const V g = w * splat<V>(odd(pauli, p) ? T(-1) : T(1));
                    const V re = g * load<V>(from), im = g * load<V>(from + W);
                    store(to, load<V>(to) + (pauli.num_y & 1 ? -im : re));
                    store(to + W, load<V>(to + W) + (pauli.num_y & 1 ? re : im));
                }
            }
        }
    }
};

}  // namespace
}  // namespace qsim::cpu
