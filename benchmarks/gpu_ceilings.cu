// What a GPU reaches at what the engine's kernels do all day: 2x2 complex matrices on amplitudes in
// registers, fused multiply-adds alone, and amplitudes from shared memory and back.
#include "groups.cuh"

using namespace qsim::cuda;

struct Ceiling {
    Complex* out;  // [blocks, threads], so that nothing is left out
    int rounds;
};

// Amplitudes that no compiler foresees.
inline void fill(const Ceiling& args, Complex* amplitudes) {
    for (int j = 0; j < kSize; ++j)
        amplitudes[j] = {Real(args.rounds) + Real(j), Real(threadIdx.x)};
}

inline void keep(const Ceiling& args, const Complex* amplitudes) {
    Complex total{0, 0};
    for (int j = 0; j < kSize; ++j) total = total + amplitudes[j];
    args.out[u64{blockIdx.x} * blockDim.x + threadIdx.x] = total;
}

// A dense matrix on each of the axes in turn: 14 operations an amplitude and round.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    rotations(const __grid_constant__ Ceiling args) {
    Complex amplitudes[kSize];
    fill(args, amplitudes);
    const Matrix u{{{Real(0.6), Real(0.1)},
                    {Real(args.rounds) * Real(1e-9), Real(-0.8)},
                    {Real(0.8), 0},
                    {Real(0.6), Real(-0.1)}}};
    for (int round = 0; round < args.rounds; ++round)
        with_axis(round % kBits, [&](auto axis) {
            rotate_pairs<decltype(axis)::value, false>(u, ~0u, amplitudes);
        });
    keep(args, amplitudes);
}

// 4 operations an amplitude and round.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    multiply_adds(const __grid_constant__ Ceiling args) {
    Complex amplitudes[kSize];
    fill(args, amplitudes);
    const Real factor = Real(1) - Real(args.rounds) * Real(1e-9);
    for (int round = 0; round < args.rounds; ++round) {
#pragma unroll
        for (int j = 0; j < kSize; ++j)
            amplitudes[j] = {fma(amplitudes[j].re, factor, Real(0.5)),
                             fma(amplitudes[j].im, factor, Real(0.25))};
    }
    keep(args, amplitudes);
}

// Every amplitude of the block's shared memory is read and written once a round.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    exchanges(const __grid_constant__ Ceiling args) {
    Complex* shared = reinterpret_cast<Complex*>(shared_memory());
    Complex amplitudes[kSize];
    fill(args, amplitudes);
    for (int round = 0; round < args.rounds; ++round) {
#pragma unroll
        for (int j = 0; j < kSize; ++j)
            shared[j * blockDim.x + threadIdx.x] = amplitudes[(j + 1) % kSize];
        __syncthreads();
        const u32 other = threadIdx.x ^ (round & 31 & (blockDim.x - 1));
#pragma unroll
        for (int j = 0; j < kSize; ++j) amplitudes[j] = shared[j * blockDim.x + other];
        __syncthreads();
    }
    keep(args, amplitudes);
}
