// Loops over blocks of trajectories; see trajectories.hpp.
#pragma once

#include <algorithm>

#include "matrices.hpp"
#include "trajectories.hpp"

namespace qsim::cpu {
namespace {

template <class T>
struct Trajectories {
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;
    using V = typename Shape<T>::V;

    // A complex number for each lane of a register.
    struct Z {
        V re, im;
    };
    QSIM_INLINE static Z read(const T* vector, int c) {
        return {load<V>(vector + c * N), load<V>(vector + W + c * N)};
    }
    QSIM_INLINE static void write(T* vector, int c, const Z& z) {
        store(vector + c * N, z.re), store(vector + W + c * N, z.im);
    }
    QSIM_INLINE static Z product(const Z& a, const Z& b) {
        return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    }
    // In this order each term is one multiply-add.
    QSIM_INLINE static void add_product(const Z& a, const Z& b, Z& sum) {
        sum.re = sum.re + a.re * b.re - a.im * b.im;
        sum.im = sum.im + a.re * b.im + a.im * b.re;
    }
    QSIM_INLINE static Z conjugate(const Z& z) { return {z.re, -z.im}; }

    // Calls visit(address of the first amplitude) for all cosets of a place.
    template <class Visit>
    QSIM_INLINE static void each_coset(const View<T>& view, const Place& place, Visit visit) {
        const uint64_t size = uint64_t{1} << view.num_qubits;
        for (uint64_t base = 0; base < size; base = ((base | place.pivots) + 1) & ~place.pivots) {
            if (!active(place, base)) continue;
            uint64_t first = base;
            for (size_t q = 0; q < place.masks.size(); ++q) {
                const uint64_t one = parity(place.rows[q] & base) ^ (place.flips >> q & 1);
                first ^= place.masks[q] & (uint64_t{0} - one);
            }
            visit(first);
        }
    }

    static bool active(const Place& place, uint64_t base) {
        return std::all_of(place.controls.begin(), place.controls.end(),
                           [&](const Control& c) { return parity(c.row & base) ^ c.flip; });
    }

    // --- Matrices
    // ---------------------------------------------------------------------------------

    static Matrix2<V> lanes_of(const T* matrix, int c) {
        Matrix2<V> m;
        for (int e = 0; e < 4; ++e) {
            const Z z = read(matrix + 2 * W * e, c);
            m.re[e] = z.re, m.im[e] = z.im;
        }
        return m;
    }

    static void store_lanes(const Matrix2<V>& m, int c, T* matrix) {
        for (int e = 0; e < 4; ++e) write(matrix + 2 * W * e, c, {m.re[e], m.im[e]});
    }

    static void factor(const View<T>& view, const Factor& factor, int64_t first, T* lanes) {
        Matrix2<V> found[C];
        Matrices<T>::factor_matrices(view, factor, first, found);
        for (int c = 0; c < C; ++c) store_lanes(found[c], c, lanes);
    }

    static void multiply(const T* second, bool first, T* product) {
        for (int c = 0; c < C; ++c) {
            const Matrix2<V> a = lanes_of(second, c), b = lanes_of(product, c);
            store_lanes(first ? qsim::cpu::multiply(b, a) : qsim::cpu::multiply(a, b), c, product);
        }
    }

    // --- Passes over the block
    // --------------------------------------------------------------------

    template <bool LANES>
    QSIM_INLINE static Z entry(const T* matrix, int e, int c) {
        if constexpr (LANES) return read(matrix + 2 * W * e, c);
        return {splat<V>(matrix[2 * e]), splat<V>(matrix[2 * e + 1])};
    }

    // D entries, or as many as the place has for D = 0.
    template <int D, bool LANES>
    static void apply_to(const View<T>& view, const Place& place, bool adjoint, const T* matrix,
                         const T* from, T* to) {
        const int size = D ? D : static_cast<int>(place.size());
        constexpr int kMatrix = D == 2 ? 4 : 1;  // entries that stay in registers
        std::vector<Z> memory(D ? 0 : static_cast<size_t>(size));
        const uint64_t* offsets = place.offsets.data();
        for (int c = 0; c < C; ++c) {
            const auto at = [&](int i, int j) {
                Z z = adjoint ? entry<LANES>(matrix, j * size + i, c)
                              : entry<LANES>(matrix, i * size + j, c);
                return adjoint ? conjugate(z) : z;
            };
            Z kept[kMatrix];
            for (int e = 0; D == 2 && e < kMatrix; ++e) kept[e] = at(e / 2, e % 2);
            each_coset(view, place, [&](uint64_t first) {
                Z local[D ? D : 1];
                Z* in = D ? local : memory.data();
                for (int i = 0; i < size; ++i) in[i] = read(from + 2 * W * (first ^ offsets[i]), c);
                for (int i = 0; i < size; ++i) {
                    const auto entry_of = [&](int j) {
                        return D == 2 ? kept[(2 * i + j) % kMatrix] : at(i, j);
                    };
                    Z sum = product(entry_of(0), in[0]);
                    for (int j = 1; j < size; ++j) add_product(entry_of(j), in[j], sum);
                    write(to + 2 * W * (first ^ offsets[i]), c, sum);
                }
            });
        }
    }

    template <bool LANES>
    static void apply_any(const View<T>& view, const Place& place, bool adjoint, const T* matrix,
                          const T* from, T* to) {
        const auto loop = place.size() == 2   ? apply_to<2, LANES>
                          : place.size() == 4 ? apply_to<4, LANES>
                                              : apply_to<0, LANES>;
        loop(view, place, adjoint, matrix, from, to);
    }

    static void apply(const View<T>& view, const Place& place, bool lanes, bool adjoint,
                      const T* matrix, const T* from, T* to) {
        if (from != to && !place.controls.empty())  // what they leave alone
            std::copy_n(from, int64_t{2} * W << view.num_qubits, to);
        (lanes ? apply_any<true> : apply_any<false>)(view, place, adjoint, matrix, from, to);
    }

    // One reading and writing for both.
    static void apply_two(const View<T>& view, const Place& both, const T* first, const T* second,
                          T* psi) {
        const uint64_t* offsets = both.offsets.data();
        for (int c = 0; c < C; ++c) {
            const Matrix2<V> one = lanes_of(first, c), two = lanes_of(second, c);
            each_coset(view, both, [&](uint64_t base) {
                Z z[4];
                for (int i = 0; i < 4; ++i) z[i] = read(psi + 2 * W * (base ^ offsets[i]), c);
                turn(one, z[0], z[1]), turn(one, z[2], z[3]);
                turn(two, z[0], z[2]), turn(two, z[1], z[3]);
                for (int i = 0; i < 4; ++i) write(psi + 2 * W * (base ^ offsets[i]), c, z[i]);
            });
        }
    }

    QSIM_INLINE static void turn(const Matrix2<V>& m, Z& zero, Z& one) {
        Z sums[2];
        for (int i = 0; i < 2; ++i) {
            sums[i] = product({m.re[2 * i], m.im[2 * i]}, zero);
            add_product({m.re[2 * i + 1], m.im[2 * i + 1]}, one, sums[i]);
        }
        zero = sums[0], one = sums[1];
    }

    template <int D>
    static void contract_of(const View<T>& view, const Place& place, const T* a, const T* b,
                            T* sums) {
        const int size = D ? D : static_cast<int>(place.size());
        std::vector<Z> memory(D ? 0 : static_cast<size_t>(size) * (size + 2));
        const uint64_t* offsets = place.offsets.data();
        for (int c = 0; c < C; ++c) {
            Z local[D ? D * (D + 2) : 1]{};
            std::fill(memory.begin(), memory.end(), Z{});
            Z *total = D ? local : memory.data(), *left = total + size * size, *right = left + size;
            each_coset(view, place, [&](uint64_t first) {
                for (int i = 0; i < size; ++i) {
                    left[i] = read(a + 2 * W * (first ^ offsets[i]), c);
                    right[i] = conjugate(read(b + 2 * W * (first ^ offsets[i]), c));
                }
                for (int i = 0; i < size; ++i) {
                    for (int j = 0; j < size; ++j)
                        add_product(left[i], right[j], total[i * size + j]);
                }
            });
            for (int e = 0; e < size * size; ++e) write(sums + 2 * W * e, c, total[e]);
        }
    }

    static void contract(const View<T>& view, const Place& place, const T* a, const T* b, T* sums) {
        const auto loop = place.size() == 2   ? contract_of<2>
                          : place.size() == 4 ? contract_of<4>
                                              : contract_of<0>;
        loop(view, place, a, b, sums);
    }

    // --- Reading
    // ----------------------------------------------------------------------------------

    // With P the product up to the factor exp(i K angle) and S = sums times what came after:
    // d<lambda|psi> + cc = -2 Im tr(K P S).
    static void gradient(const View<T>& view, const Factor& factor, int64_t first, const T* product,
                         const T* sums, const Gradients<T>& out) {
        const Matrix2<T> generator = Matrices<T>::generator_of(factor);
        Matrix2<V> k;
        for (int e = 0; e < 4; ++e)
            k.re[e] = splat<V>(generator.re[e]), k.im[e] = splat<V>(generator.im[e]);
        alignas(64) T derivative[W];
        for (int c = 0; c < C; ++c) {
            const Matrix2<V> whole = qsim::cpu::multiply(
                qsim::cpu::multiply(k, lanes_of(product, c)), lanes_of(sums, c));
            store(derivative + c * N, T(-2) * (whole.im[0] + whole.im[3]));
        }
        Matrices<T>::add_derivative(view, factor.angle, first, derivative, out);
    }

    static void squares(const View<T>& view, const T* psi, int64_t length, double* sums) {
        for (int64_t p = 0; p < view.num_vectors(); ++p) {
            const T* vector = psi + 2 * W * p;
            double* run = sums + p / length * W;
            for (int l = 0; l < W; ++l)
                run[l] += static_cast<double>(vector[l]) * static_cast<double>(vector[l]) +
                          static_cast<double>(vector[W + l]) * static_cast<double>(vector[W + l]);
        }
    }

    static constexpr TrajectoryKernels<T> table() {
        return {factor, multiply, apply, apply_two, contract, gradient, squares};
    }
};

}  // namespace
}  // namespace qsim::cpu
