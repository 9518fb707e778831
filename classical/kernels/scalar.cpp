// The loops as one writes them, and in a better order. Compiled without automatic vectors, so that
// each shows its own technique and no other.
#include <algorithm>

#include "kernels.hpp"
#include "support.hpp"

namespace kernels {

namespace {

// Rows of c, each a sum of rows of b, which are read in order.
void add_rows(const Matmul& m, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
        std::fill_n(m.c + i * m.columns, m.columns, 0.0f);
        for (int64_t k = 0; k < m.inner; ++k) {
            const float a = m.a[i * m.inner + k];
            const float* b = m.b + k * m.columns;
            float* c = m.c + i * m.columns;
            for (int64_t j = 0; j < m.columns; ++j) c[j] += a * b[j];
        }
    }
}

// From one value to the next: channels and pixels of x, channels and taps of w, channels and pixels
// of y.
struct Steps {
    int64_t channel, pixel, weight_channel, tap, channel_out, pixel_out;
};

// An output: the sum over the taps of the kernel and the channels.
float convolved(const Convolution& v, const Steps& steps, const float* x, const float* w,
                int64_t top, int64_t left) {
    float sum = 0;
    for (int64_t t = 0; t < v.kernel_height * v.kernel_width; ++t) {
        const int64_t row = top + t / v.kernel_width, column = left + t % v.kernel_width;
        if (row < 0 || row >= v.height || column < 0 || column >= v.width) continue;
        const float* from = x + (row * v.width + column) * steps.pixel;
        for (int64_t c = 0; c < v.inputs; ++c)
            sum += w[c * steps.weight_channel + t * steps.tap] * from[c * steps.channel];
    }
    return sum;
}

void convolve(const Convolution& v, const Steps& steps) {
    const int64_t high = v.height_out(), wide = v.width_out();
    const int64_t weights = v.inputs * v.kernel_height * v.kernel_width;
    for (int64_t n = 0; n < v.images; ++n) {
        const float* x = v.x + n * v.inputs * v.height * v.width;
        float* y = v.y + n * v.outputs * high * wide;
        for (int64_t o = 0; o < v.outputs; ++o)
            for (int64_t i = 0; i < high; ++i)
                for (int64_t j = 0; j < wide; ++j)
                    y[o * steps.channel_out + (i * wide + j) * steps.pixel_out] =
                        convolved(v, steps, x, v.w + o * weights, i - v.padding, j - v.padding);
    }
}

}  // namespace

void matmul_naive(const Matmul& m) {
    for (int64_t i = 0; i < m.rows; ++i)
        for (int64_t j = 0; j < m.columns; ++j) {
            float sum = 0;
            for (int64_t k = 0; k < m.inner; ++k)
                sum += m.a[i * m.inner + k] * m.b[k * m.columns + j];
            m.c[i * m.columns + j] = sum;
        }
}

void matmul_reordered(const Matmul& m) { add_rows(m, 0, m.rows); }

void matmul_tiled(const Matmul& m) {
    constexpr int64_t kTile = 64;  // of b, 16 KiB, stays in the inner cache for all rows
    std::fill_n(m.c, m.rows * m.columns, 0.0f);
    for (int64_t k0 = 0; k0 < m.inner; k0 += kTile)
        for (int64_t j0 = 0; j0 < m.columns; j0 += kTile) {
            const int64_t k1 = std::min(k0 + kTile, m.inner), j1 = std::min(j0 + kTile, m.columns);
            for (int64_t i = 0; i < m.rows; ++i) {
                float* c = m.c + i * m.columns;
                for (int64_t k = k0; k < k1; ++k) {
                    const float a = m.a[i * m.inner + k];
                    const float* b = m.b + k * m.columns;
                    for (int64_t j = j0; j < j1; ++j) c[j] += a * b[j];
                }
            }
        }
}

void matmul_unrolled(const Matmul& m) {
    constexpr int64_t kRows = 4;  // of b at a time: c is read and written once for all of them
    for (int64_t i = 0; i < m.rows; ++i) {
        const float* a = m.a + i * m.inner;
        float* c = m.c + i * m.columns;
        std::fill_n(c, m.columns, 0.0f);
        int64_t k = 0;
        for (; k + kRows <= m.inner; k += kRows) {
            const float a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
            const float* b = m.b + k * m.columns;
            for (int64_t j = 0; j < m.columns; ++j)
                c[j] += a0 * b[j] + a1 * b[j + m.columns] + a2 * b[j + 2 * m.columns] +
                        a3 * b[j + 3 * m.columns];
        }
        for (; k < m.inner; ++k)
            for (int64_t j = 0; j < m.columns; ++j) c[j] += a[k] * m.b[k * m.columns + j];
    }
}

void matmul_threads(const Matmul& m) {
    parallel_for(m.threads, m.rows, [&](int64_t row, int) { add_rows(m, row, row + 1); });
}

void convolution_naive(const Convolution& v) {
    const int64_t taps = v.kernel_height * v.kernel_width;
    convolve(v, {v.height * v.width, 1, taps, 1, v.height_out() * v.width_out(), 1});
}

void convolution_naive_nhwc(const Convolution& v) {
    convolve(v, {1, v.inputs, 1, v.inputs, 1, v.outputs});
}

}  // namespace kernels
