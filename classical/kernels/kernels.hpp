// What the studies offer: functions by name, those with vectors once for each instruction set.
#pragma once

#include <cstdint>

namespace kernels {

// c [rows, columns] = a [rows, inner] b [inner, columns], all row by row.
struct Matmul {
    int64_t rows, columns, inner;
    const float *a, *b;
    float* c;
    int threads;
};

// Convolution with stride 1 and a border of zeros on every side. NCHW: x [images, inputs, height,
// width], w [outputs, inputs, kernel_height, kernel_width]; NHWC: channels come last in x, w and y.
struct Convolution {
    int64_t images, inputs, outputs, height, width, kernel_height, kernel_width, padding;
    const float *x, *w;
    float* y;
    int threads;

    int64_t height_out() const { return height + 2 * padding - kernel_height + 1; }
    int64_t width_out() const { return width + 2 * padding - kernel_width + 1; }
};

template <class Problem>
struct Method {
    const char* name;
    void (*run)(const Problem&);
};

// The loops that need no vectors; scalar.cpp defines them.
void matmul_naive(const Matmul&);
void matmul_reordered(const Matmul&);
void matmul_tiled(const Matmul&);
void matmul_unrolled(const Matmul&);
void matmul_threads(const Matmul&);
void convolution_naive(const Convolution&);
void convolution_naive_nhwc(const Convolution&);

// The kernels of one instruction set; vector.cpp defines them.
struct InstructionSet {
    const char* name;
    void (*matmul_simd)(const Matmul&);
    void (*matmul_all)(const Matmul&);
    void (*im2col)(const Convolution&);
    void (*winograd)(const Convolution&);
    void (*direct)(const Convolution&);
    void (*direct_nhwc)(const Convolution&);
    // Each channel by itself, w [channels, kernel_height, kernel_width]; y may be x if the sizes
    // are the same.
    void (*depthwise)(const Convolution&);
    // Runs `steps` rounds of multiply-add in registers on every thread -> operations of one round
    // and thread.
    int64_t (*multiply_add)(int64_t steps, int threads);
};

extern const InstructionSet baseline, avx2, avx512;

}  // namespace kernels
