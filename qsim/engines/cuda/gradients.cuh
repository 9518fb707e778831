// Adding up what threads found, always in the same order.
#pragma once

#include "platform.cuh"

namespace qsim::cuda {

inline int num_warps() { return (static_cast<int>(blockDim.x) + kWarp - 1) / kWarp; }

// The sum over the threads of a block, in all of them. The sums of the warps meet in `sums`.
inline double block_sum(double value, double* sums) {
    const double mine = warp_sum(value);
    if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = mine;
    __syncthreads();
    double total = 0;
    for (int warp = 0; warp < num_warps(); ++warp) total += sums[warp];
    __syncthreads();
    return total;
}

// The gradient of a parameter, by one block: found(sample, first part, last part) adds up what its
// uses left there. Threads take samples, or where the batch shares the parameter (stride 0), parts
// of samples, which they add up in shared memory.
template <class Found>
inline void add_up(Real* to, long long stride, int batch, int parts, Found found) {
    const int rows = stride ? batch : batch * parts;
    double total = 0;
    for (int row = threadIdx.x; row < rows; row += blockDim.x) {
        const int sample = stride ? row : row / parts, part = row % parts;
        const double one = found(sample, stride ? 0 : part, stride ? parts : part + 1);
        if (stride) to[stride * sample] = static_cast<Real>(one);
        total += one;
    }
    if (stride) return;
    double* totals = reinterpret_cast<double*>(shared_memory());  // of the threads
    totals[threadIdx.x] = total;
    for (u32 half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) totals[threadIdx.x] += totals[threadIdx.x + half];
    }
    if (threadIdx.x == 0) *to = static_cast<Real>(totals[0]);
}

// Adds the sums of the warps [warps][stride], in their order, to what the block's earlier tiles
// left, if any: `count` numbers.
inline void keep_warp_sums(const Real* sums, int stride, int count, bool first, Real* to) {
    for (int k = threadIdx.x; k < count; k += blockDim.x) {
        Real total = first ? Real(0) : to[k];
        for (int warp = 0; warp < num_warps(); ++warp) total += sums[stride * warp + k];
        to[k] = total;
    }
}

}  // namespace qsim::cuda
