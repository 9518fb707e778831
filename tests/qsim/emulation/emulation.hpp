// A machine for device code in ordinary C++: blocks of one thread, warps of one lane.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>

#define __global__
#define __grid_constant__
#define __launch_bounds__(...)

struct Coordinates {
    unsigned x = 0, y = 0, z = 0;
};
inline thread_local Coordinates threadIdx, blockIdx, blockDim{1, 1, 1}, gridDim;

inline void __syncthreads() {}

using std::min;

inline void sincospif(float turns, float* sine, float* cosine) {
    const double angle = 3.14159265358979323846 * turns;
    *sine = static_cast<float>(std::sin(angle));
    *cosine = static_cast<float>(std::cos(angle));
}

namespace qsim::cuda {

constexpr int kWarp = 1;

inline thread_local char* block_memory = nullptr;
inline char* shared_memory() { return block_memory; }

template <class T>
T shuffle_xor(T value, int) {
    return value;
}

inline u32 parity(u32 bits) { return static_cast<u32>(__builtin_parity(bits)); }
inline u32 parity(u64 bits) { return static_cast<u32>(__builtin_parityll(bits)); }

}  // namespace qsim::cuda
