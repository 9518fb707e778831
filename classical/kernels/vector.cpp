// The studies with vectors, compiled once for each instruction set.
#include "convolution.hpp"
#include "gemm.hpp"
#include "kernels.hpp"
#include "winograd.hpp"

namespace kernels {
namespace {

// Rounds of multiply-add whose sums stay in registers, enough of them to fill the pipelines.
inline int64_t multiply_add(int64_t steps, int threads) {
    constexpr int kSums = 12;
    const Scratch ends(threads * kLanes);
    parallel_for(threads, threads, [&](int64_t own, int) {
        Vector sums[kSums] = {};
        // Unknown to the compiler, which would work them out.
        Vector factor = splat(0.5f), term = splat(1.0f);
        asm volatile("" : "+m"(factor), "+m"(term));
        for (int64_t step = 0; step < steps; ++step)
#pragma GCC unroll 12
            for (int k = 0; k < kSums; ++k) sums[k] = sums[k] * factor + term;
        for (int k = 1; k < kSums; ++k) sums[0] += sums[k];
        store(ends.get() + own * kLanes, sums[0]);
    });
    return 2 * kSums * kLanes;
}

}  // namespace

extern const InstructionSet KERNELS_ISA;
#define KERNELS_TEXT_OF(name) #name
#define KERNELS_TEXT(name) KERNELS_TEXT_OF(name)
const InstructionSet KERNELS_ISA{KERNELS_TEXT(KERNELS_ISA),
                                 matmul_simd,
                                 matmul_all,
                                 im2col,
                                 winograd,
                                 direct,
                                 direct_nhwc,
                                 depthwise,
                                 multiply_add};

}  // namespace kernels
