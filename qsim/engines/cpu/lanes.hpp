// Vectors: arithmetic on the widest registers that the instruction set has.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels.hpp"

// Compilers give up on inlining what large loops are made of; then registers go through memory.
#define QSIM_INLINE [[gnu::always_inline]] inline

namespace qsim::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T, int N>
struct VectorOf {
    typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T>
struct VectorOf<T, 1> {
    using type = T;
};

// A vector has W lanes, in C registers of N each.
template <class T>
struct Shape {
    static constexpr int W = kLanes<T>, N = kVectorBytes / static_cast<int>(sizeof(T)), C = W / N;
    using V = typename VectorOf<T, N>::type;
};

template <class V, class T>
inline V load(const T* from) {
    V v;
    std::memcpy(&v, from, sizeof(V));
    return v;
}

template <class V, class T>
inline void store(T* to, const V& v) {
    std::memcpy(to, &v, sizeof(V));
}

template <class V, class T>
inline V splat(T value) {
    return V{} + value;
}

// Sum of a register's N entries, by halves.
template <class T, int N>
inline T sum_of(const typename VectorOf<T, N>::type& v) {
    if constexpr (N == 1) {
        return v;
    } else {
        typename VectorOf<T, N / 2>::type halves[2];
        std::memcpy(halves, &v, sizeof(v));
        return sum_of<T, N / 2>(halves[0] + halves[1]);
    }
}

// Lane l of a register becomes lane l ^ distance.
template <class T>
class Shuffle {
    using V = typename Shape<T>::V;
    static constexpr int N = Shape<T>::N;

  public:
    explicit Shuffle(unsigned distance) {
        constexpr int kEntries = sizeof(index_) / sizeof(index_[0]), kParts = kEntries / N;
        for (int k = 0; k < kEntries; ++k)
            index_[k] = ((k / kParts) ^ static_cast<int>(distance)) * kParts + k % kParts;
    }

    QSIM_INLINE V operator()(const V& v) const {
        V out;
#if defined(__AVX512F__)
        if constexpr (sizeof(T) == sizeof(float)) {
            out =
                reinterpret_cast<V>(_mm512_maskz_permutexvar_ps(0xffff, load<__m512i>(index_), v));
        } else {
            out = reinterpret_cast<V>(_mm512_maskz_permutexvar_epi32(0xffff, load<__m512i>(index_),
                                                                     reinterpret_cast<__m512i>(v)));
        }
#elif defined(__AVX2__)
        out = reinterpret_cast<V>(
            _mm256_permutevar8x32_epi32(reinterpret_cast<__m256i>(v), load<__m256i>(index_)));
#else
        T from[N], to[N];
        store(from, v);
        for (int k = 0; k < N; ++k) to[k] = from[index_[k]];
        out = load<V>(to);
#endif
        return out;
    }

  private:
#if defined(__AVX2__)
    alignas(64) int32_t index_[kVectorBytes / 4];  // of 32-bit parts
#else
    int32_t index_[N];
#endif
};

// (-1)^parity(row & lane), for rows within a vector.
template <class T>
struct LaneSigns {
    alignas(64) T sign[kLanes<T>][kLanes<T>];
    constexpr LaneSigns() : sign{} {
        for (int row = 0; row < kLanes<T>; ++row) {
            for (int l = 0; l < kLanes<T>; ++l)
                sign[row][l] = std::popcount(static_cast<unsigned>(row & l)) & 1 ? T(-1) : T(1);
        }
    }
};
template <class T>
inline constexpr LaneSigns<T> kLaneSigns{};

// sin and cos of N angles of moderate size, as arrays that the compiler turns into vectors:
// reduction by multiples of pi/2 in three parts (Cody and Waite), then Taylor polynomials on
// [-pi/4, pi/4], whose next term is below rounding.
template <class T>
struct SinCos;

template <>
struct SinCos<float> {
    using Int = int32_t;
    static constexpr float kHalfPi[3] = {0x1.92p0f, 0x0.001fbp0f, 0x0.0000054442dp0f};
    static constexpr float kRound = 0x1.8p23f, kLargest = 8192.0f;
    static constexpr int kTerms = 5;
};

template <>
struct SinCos<double> {
    using Int = int64_t;
    static constexpr double kHalfPi[3] = {0x1.921fb54p0, 0x0.442d184p-28, 0x0.69898cc51701b839p-56};
    static constexpr double kRound = 0x1.8p52, kLargest = 1048576.0;
    static constexpr int kTerms = 9;
};

template <class T>
inline void sincos_one(T angle, T& sine, T& cosine) {
    using C = SinCos<T>;
    const T rounded = angle * static_cast<T>(0.63661977236758134308) + C::kRound;
    const T turns = rounded - C::kRound;
    const T r = ((angle - turns * C::kHalfPi[0]) - turns * C::kHalfPi[1]) - turns * C::kHalfPi[2];
    const T r2 = r * r;
    T s = 1, c = 1;
    for (int k = C::kTerms; k > 0; --k) {
        s = 1 - s * r2 * static_cast<T>(1.0 / ((2 * k) * (2 * k + 1)));
        c = 1 - c * r2 * static_cast<T>(1.0 / ((2 * k - 1) * (2 * k)));
    }
    s *= r;
    const auto quadrant = std::bit_cast<typename C::Int>(rounded);  // its low bits count the turns
    const bool swap = quadrant & 1;
    const T a = swap ? c : s, b = swap ? s : c;
    sine = quadrant & 2 ? -a : a;
    cosine = (quadrant + 1) & 2 ? -b : b;
}

template <class T, int N>
inline void sincos(const T* angles, T* sines, T* cosines) {
    bool large = false;
    for (int l = 0; l < N; ++l) large |= !(std::fabs(angles[l]) <= SinCos<T>::kLargest);
    if (large) {
        for (int l = 0; l < N; ++l) {
            sines[l] = static_cast<T>(std::sin(static_cast<double>(angles[l])));
            cosines[l] = static_cast<T>(std::cos(static_cast<double>(angles[l])));
        }
        return;
    }
    for (int l = 0; l < N; ++l) sincos_one<T>(angles[l], sines[l], cosines[l]);
}

}  // namespace
}  // namespace qsim::cpu
