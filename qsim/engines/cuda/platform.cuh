// What device code asks of the machine. All of it holds for blocks of one thread and warps of one
// lane too: tests/qsim/emulation has a platform of that kind for ordinary compilers.
#pragma once

#include "tape.cuh"

#ifdef __CUDACC__

namespace qsim::cuda {

constexpr int kWarp = kWarpSize;

inline char* shared_memory() {
    extern __shared__ __align__(16) char memory[];
    return memory;
}

template <class T>
inline T shuffle_xor(T value, int lanes) {
    return __shfl_xor_sync(0xffffffffu, value, lanes);
}

inline u32 parity(u32 bits) { return __popc(bits) & 1; }
inline u32 parity(u64 bits) { return __popcll(bits) & 1; }

}  // namespace qsim::cuda

#else
#include <emulation.hpp>
#endif

namespace qsim::cuda {

using Real = QSIM_REAL;
constexpr int kBits = kGroupBits<Real>;
constexpr int kSize = 1 << kBits;
constexpr int kMostThreads = 256;
constexpr int kResident = 2;  // blocks of a multiprocessor at least: up to 128 registers a thread

struct alignas(2 * sizeof(Real)) Complex {
    Real re, im;
};

inline Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline Complex operator*(Complex a, Complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
inline Complex operator*(Real a, Complex b) { return {a * b.re, a * b.im}; }
inline Complex conj(Complex a) { return {a.re, -a.im}; }
// conj(a) b
inline Complex product(Complex a, Complex b) {
    return {a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re};
}

// In single precision, whole turns are taken out in double (2 pi in two parts): what is left needs
// no slow path.
inline void sine_cosine(double angle, float* sine, float* cosine) {
    const double turns = rint(angle * 0.15915494309189535);
    const double rest = fma(turns, -2.4492935982947064e-16, fma(turns, -6.283185307179586, angle));
    sincospif(static_cast<float>(rest * 0.3183098861837907), sine, cosine);
}
inline void sine_cosine(double angle, double* sine, double* cosine) { sincos(angle, sine, cosine); }

// exp(i angle).
inline Complex unit(double angle) {
    Complex z;
    sine_cosine(angle, &z.im, &z.re);
    return z;
}

// Zeros inserted at these bits, ascending.
inline u64 spread(u64 number, const int* pivots, int count) {
    for (int k = 0; k < count; ++k) {
        const u64 low = (u64{1} << pivots[k]) - 1;
        number = (number & ~low) << 1 | (number & low);
    }
    return number;
}

// visit(number) for the numbers below size, which the threads of a sample's blocks share out.
template <class Visit>
inline void share_out(u64 size, Visit visit) {
    const u64 step = static_cast<u64>(gridDim.y) * blockDim.x;
    for (u64 k = static_cast<u64>(blockIdx.y) * blockDim.x + threadIdx.x; k < size; k += step)
        visit(k);
}

// The sum over the lanes of a warp, in all of them.
template <class T>
inline T warp_sum(T value) {
#pragma unroll
    for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) value += shuffle_xor(value, lanes);
    return value;
}

}  // namespace qsim::cuda
