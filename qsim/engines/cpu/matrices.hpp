// 2x2 matrices of items whose samples differ, and the gradients of their angles.
#pragma once

#include <utility>

#include "kernels.hpp"
#include "lanes.hpp"

namespace qsim::cpu {
namespace {

// A 2x2 matrix for each lane (or with T for V, a single one).
template <class V>
struct Matrix2 {
    V re[4], im[4];
};

template <class V>
inline Matrix2<V> multiply(const Matrix2<V>& a, const Matrix2<V>& b) {
    Matrix2<V> c;
    for (int i = 0; i < 2; ++i) {
        for (int k = 0; k < 2; ++k) {
            const int e = 2 * i + k, l = 2 * i, r = 2 + k;
            c.re[e] = a.re[l] * b.re[k] - a.im[l] * b.im[k] + a.re[l + 1] * b.re[r] -
                      a.im[l + 1] * b.im[r];
            c.im[e] = a.re[l] * b.im[k] + a.im[l] * b.re[k] + a.re[l + 1] * b.im[r] +
                      a.im[l + 1] * b.re[r];
        }
    }
    return c;
}

template <class V>
inline Matrix2<V> adjoint(const Matrix2<V>& a) {
    return {{a.re[0], a.re[2], a.re[1], a.re[3]}, {-a.im[0], -a.im[2], -a.im[1], -a.im[3]}};
}

template <class T>
struct Matrices {
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;
    using V = typename Shape<T>::V;
    using Lanes = Matrix2<V>;

    // Angles of a factor for the block's samples; samples beyond the batch get 0.
    static void read_angles(const View<T>& view, const Angle& angle, int64_t first, T* out) {
        const Angles<T>& angles = view.angles;
        const T* from = angles.data[angle.source] + angle.index;
        const int64_t stride = angles.stride[angle.source];
        const T scale = static_cast<T>(angle.scale), offset = static_cast<T>(angle.offset);
        for (int l = 0; l < W; ++l) {
            const int64_t sample = first + (l >> view.lane_bits);
            out[l] = sample < angles.batch ? scale * from[sample * stride] + offset : T(0);
        }
    }

    // The factor's matrices, C registers of samples.
    static void factor_matrices(const View<T>& view, const Factor& factor, int64_t first,
                                Lanes* out) {
        alignas(64) T sines[2][W], cosines[2][W], theta[W], scaled[W];
        const bool fixed = factor.angle.source == kConstant;
        if (!fixed) read_angles(view, factor.angle, first, theta);
        for (int k = 0; k < 2 && !fixed; ++k) {
            const T frequency = static_cast<T>(factor.frequencies[k]);
            for (int l = 0; l < W; ++l) scaled[l] = frequency * theta[l];
            if (k == 1 && factor.frequencies[1] == -factor.frequencies[0]) {
                for (int l = 0; l < W; ++l)
                    sines[1][l] = -sines[0][l], cosines[1][l] = cosines[0][l];
            } else {
                sincos<T, W>(scaled, sines[k], cosines[k]);
            }
        }
        for (int c = 0; c < C; ++c) {
            for (int e = 0; e < 4; ++e) {
                V re{}, im{};
                for (int k = 0; k < (fixed ? 1 : 2); ++k) {
                    const V pr = splat<V>(static_cast<T>(factor.projectors[k][e].real()));
                    const V pi = splat<V>(static_cast<T>(factor.projectors[k][e].imag()));
                    const V cosine = fixed ? splat<V>(T(1)) : load<V>(cosines[k] + c * N);
                    const V sine = fixed ? V{} : load<V>(sines[k] + c * N);
                    re += pr * cosine - pi * sine;
                    im += pr * sine + pi * cosine;
                }
                out[c].re[e] = re;
                out[c].im[e] = im;
            }
        }
    }

    // The factors that differ from sample to sample, then the tail that does not.
    static void item_matrices(const View<T>& view, int k, int64_t first, T* out) {
        const Item& item = view.items[k];
        Lanes product[C], next[C];
        factor_matrices(view, view.factors[item.factor_begin], first, product);
        for (int f = item.factor_begin + 1; f < view.tail[k]; ++f) {
            factor_matrices(view, view.factors[f], first, next);
            for (int c = 0; c < C; ++c) product[c] = multiply(next[c], product[c]);
        }
        const Lanes tail = shared_matrix(view, k);
        for (int c = 0; c < C; ++c) {
            const Lanes whole = multiply(tail, product[c]);
            for (int e = 0; e < 4; ++e) {
                store(out + (2 * e) * W + c * N, whole.re[e]);
                store(out + (2 * e + 1) * W + c * N, whole.im[e]);
            }
        }
    }

    static Lanes shared_matrix(const View<T>& view, int k) {
        Lanes m;
        for (int e = 0; e < 4; ++e) {
            m.re[e] = splat<V>(view.shared[8 * k + 2 * e]);
            m.im[e] = splat<V>(view.shared[8 * k + 2 * e + 1]);
        }
        return m;
    }

    static void all_matrices(const View<T>& view, int64_t first, T* out) {
        for (int k = 0; k < view.num_items; ++k) {
            if (view.batched[k]) item_matrices(view, k, first, out + int64_t{8} * W * k);
        }
    }

    // The item's matrix for one register of lanes, from shared numbers or from `own`. Where the
    // lane's address makes the qubit 1, or `one` does, its rows and columns change places.
    static Lanes matrix(const View<T>& view, int k, const T* own, int c, bool one) {
        const T* signs = lane_signs(view, view.items[k].row, c);
        const V threshold = splat<V>(T(0));
        Lanes m;
        for (int e = 0; e < 8; ++e) {
            V *to = e & 1 ? &m.im[e / 2] : &m.re[e / 2], straight, turned;
            const int other = e ^ 6;
            if (view.batched[k]) {
                const T* from = own + int64_t{8} * W * k + c * N;
                straight = load<V>(from + e * W), turned = load<V>(from + other * W);
            } else {
                const T* from = view.shared + 8 * k;
                straight = splat<V>(from[e]), turned = splat<V>(from[other]);
            }
            if (one) std::swap(straight, turned);
            *to = signs ? (load<V>(signs) > threshold ? straight : turned) : straight;
        }
        return m;
    }

    // The signs that a row gives to lanes, or null if it gives none.
    static const T* lane_signs(const View<T>& view, uint64_t row, int c) {
        const uint64_t within = row & ((uint64_t{1} << view.lane_bits) - 1);
        return within ? kLaneSigns<T>.sign[within] + c * N : nullptr;
    }

    static unsigned lane_distance(const View<T>& view, uint64_t mask) {
        return static_cast<unsigned>(mask & ((uint64_t{1} << view.lane_bits) - 1));
    }

    // Whether a factor before the tail wants a gradient.
    static bool wanted(const View<T>& view, int k, const Gradients<T>& out) {
        for (int f = view.items[k].factor_begin; f < view.tail[k]; ++f) {
            const int32_t source = view.factors[f].angle.source;
            if (source != kConstant && (out.batched[source] || out.shared[source])) return true;
        }
        return false;
    }

    // With L the product of the factors after f, the derivative is -2 sum_P h_P Im<lambda|P|psi>, h
    // = L K L+. The sums are those of each sample, in all of its lanes.
    static void factor_gradients(const View<T>& view, int k, int64_t first, const T* sums,
                                 const Gradients<T>& out) {
        Lanes after[C], own[C];
        for (int c = 0; c < C; ++c) after[c] = shared_matrix(view, k);
        for (int f = view.tail[k] - 1; f >= view.items[k].factor_begin; --f) {
            const Factor& factor = view.factors[f];
            if (factor.angle.source != kConstant) {
                alignas(64) T derivative[W];
                const Matrix2<T> generator = generator_of(factor);
                for (int c = 0; c < C; ++c) {
                    store(derivative + c * N, angle_derivative(after[c], generator, sums + c * N));
                }
                add_derivative(view, factor.angle, first, derivative, out);
            }
            factor_matrices(view, factor, first, own);
            for (int c = 0; c < C; ++c) after[c] = multiply(after[c], own[c]);
        }
    }

    static Matrix2<T> generator_of(const Factor& factor) {
        Matrix2<T> k{};
        for (int e = 0; e < 4; ++e) {
            for (int t = 0; t < 2; ++t) {
                k.re[e] += static_cast<T>(factor.frequencies[t] * factor.projectors[t][e].real());
                k.im[e] += static_cast<T>(factor.frequencies[t] * factor.projectors[t][e].imag());
            }
        }
        return k;
    }

    static V angle_derivative(const Lanes& after, const Matrix2<T>& generator, const T* sums) {
        Lanes k;
        for (int e = 0; e < 4; ++e)
            k.re[e] = splat<V>(generator.re[e]), k.im[e] = splat<V>(generator.im[e]);
        const Lanes h = multiply(multiply(after, k), adjoint(after));
        const V i = load<V>(sums), x = load<V>(sums + W), y = load<V>(sums + 2 * W),
                z = load<V>(sums + 3 * W);
        // h_I = (h00 + h11) / 2, h_Z = (h00 - h11) / 2, h_X = Re h10, h_Y = Im h10.
        return -((h.re[0] + h.re[3]) * i + (h.re[0] - h.re[3]) * z) -
               T(2) * (h.re[2] * x + h.im[2] * y);
    }

    static void add_derivative(const View<T>& view, const Angle& angle, int64_t first,
                               const T* derivative, const Gradients<T>& out) {
        const T scale = static_cast<T>(angle.scale);
        const int s = angle.source;
        for (int l = 0; l < view.samples() && first + l < view.angles.batch; ++l) {
            const T value = scale * derivative[l << view.lane_bits];
            if (out.batched[s]) {
                out.batched[s][(first + l) * out.size[s] + angle.index] += value;
            } else if (out.shared[s]) {
                out.shared[s][angle.index] += value;
            }
        }
    }
};

}  // namespace
}  // namespace qsim::cpu
