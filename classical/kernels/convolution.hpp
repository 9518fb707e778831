// Convolutions with vectors.
#pragma once

#include "gemm.hpp"
#include "kernels.hpp"
#include "support.hpp"
#include "vector.hpp"

namespace kernels {
namespace {

constexpr int64_t kPixels = 6;    // of a row, whose sums stay in registers
constexpr int64_t kChannels = 8;  // outputs that share what is read of x

// Rows of an image with its border, so that no loop asks where it is; `pitch` from row to row.
inline void add_border(const float* x, int64_t height, int64_t width, int64_t border, int64_t pitch,
                       float* to) {
    zero(to, (height + 2 * border) * pitch);
    for (int64_t row = 0; row < height; ++row)
        copy(x + row * width, width, to + (row + border) * pitch + border);
}

// Pitch of padded rows from which a vector can be read at every output.
inline int64_t padded_pitch(const Convolution& v) {
    return rounded_up(v.width_out(), kLanes) + v.kernel_width - 1;
}

inline void store_some(float* to, const Vector& v, int64_t count) {
    if (count >= kLanes) {
        store(to, v);
        return;
    }
    float all[kLanes];
    store(all, v);
    copy(all, count, to);
}

// Copies the patch that each output reads into a column, and multiplies matrices: Chellapilla et
// al., "High Performance Convolutional Neural Networks for Document Processing"
// (hal.inria.fr/inria-00112631).
inline void im2col(const Convolution& v) {
    const int64_t taps = v.kernel_height * v.kernel_width, inner = v.inputs * taps;
    const int64_t high = v.height_out(), wide = v.width_out();
    const Scratch columns(inner * high * wide);
    for (int64_t n = 0; n < v.images; ++n) {
        const float* x = v.x + n * v.inputs * v.height * v.width;
        parallel_for(v.threads, inner, [&](int64_t row, int) {
            const int64_t top = row % taps / v.kernel_width - v.padding;
            const int64_t left = row % v.kernel_width - v.padding;
            const int64_t first = left < 0 ? smaller(-left, wide) : 0;
            const int64_t end = smaller(v.width - left, wide);
            float* to = columns.get() + row * high * wide;
            for (int64_t i = top; i < top + high; ++i, to += wide) {
                zero(to, wide);
                if (i < 0 || i >= v.height || end <= first) continue;
                const float* from = x + (row / taps * v.height + i) * v.width + left;
                copy(from + first, end - first, to + first);
            }
        });
        matmul_all({v.outputs, high * wide, inner, v.w, columns.get(),
                    v.y + n * v.outputs * high * wide, v.threads});
    }
}

// Sums of `kChannels` outputs for a vector of pixels of a row.
KERNELS_INLINE void add_channels(const Convolution& v, const float* x, int64_t pitch, int64_t plane,
                                 const float* w, float* y, int64_t plane_out, int64_t count,
                                 int64_t channels) {
    Vector sums[kChannels] = {};
    for (int64_t c = 0; c < v.inputs; ++c)
        for (int64_t i = 0; i < v.kernel_height; ++i)
            for (int64_t j = 0; j < v.kernel_width; ++j, w += kChannels) {
                const Vector read = load(x + c * plane + i * pitch + j);
#pragma GCC unroll 8
                for (int o = 0; o < kChannels; ++o) sums[o] += splat(w[o]) * read;
            }
    for (int64_t o = 0; o < channels; ++o) store_some(y + o * plane_out, sums[o], count);
}

// Weights [outputs][rest] as [blocks of outputs][rest][outputs of a block], zeros behind the last.
inline void pack_outputs(const float* w, int64_t outputs, int64_t rest, int64_t block, float* to) {
    for (int64_t first = 0; first < outputs; first += block)
        for (int64_t r = 0; r < rest; ++r)
            for (int64_t o = first; o < first + block; ++o)
                *to++ = o < outputs ? w[o * rest + r] : 0.0f;
}

// NCHW: a vector has pixels of a row.
inline void direct(const Convolution& v) {
    const int64_t pitch = padded_pitch(v), plane = (v.height + 2 * v.padding) * pitch;
    const int64_t rest = v.inputs * v.kernel_height * v.kernel_width;
    const int64_t blocks = (v.outputs + kChannels - 1) / kChannels;
    const int64_t high = v.height_out(), wide = v.width_out();
    const Scratch weights(blocks * kChannels * rest), padded(v.inputs * plane);
    pack_outputs(v.w, v.outputs, rest, kChannels, weights.get());
    for (int64_t n = 0; n < v.images; ++n) {
        const float* x = v.x + n * v.inputs * v.height * v.width;
        parallel_for(v.threads, v.inputs, [&](int64_t c, int) {
            add_border(x + c * v.height * v.width, v.height, v.width, v.padding, pitch,
                       padded.get() + c * plane);
        });
        parallel_for(v.threads, blocks * high, [&](int64_t unit, int) {
            const int64_t first = unit / high * kChannels, row = unit % high;
            float* y = v.y + ((n * v.outputs + first) * high + row) * wide;
            for (int64_t j = 0; j < wide; j += kLanes)
                add_channels(v, padded.get() + row * pitch + j, pitch, plane,
                             weights.get() + first * rest, y + j, high * wide, wide - j,
                             smaller(v.outputs - first, kChannels));
        });
    }
}

// NHWC: sums of two vectors of outputs for `kPixels` pixels of a row.
KERNELS_INLINE void add_pixels(const Convolution& v, const float* x, int64_t pitch, const float* w,
                               Vector (&sums)[kPixels][kTileVectors]) {
    const int64_t run = v.kernel_width * v.inputs;  // values of a row of the kernel lie in a row
    for (int64_t i = 0; i < v.kernel_height; ++i)
        for (int64_t k = 0; k < run; ++k, w += kTileColumns) {
            const Vector read[kTileVectors] = {load(w), load(w + kLanes)};
#pragma GCC unroll 8
            for (int p = 0; p < kPixels; ++p)
                for (int o = 0; o < kTileVectors; ++o)
                    sums[p][o] += splat(x[i * pitch + p * v.inputs + k]) * read[o];
        }
}

// NHWC: a vector has outputs of a pixel.
inline void direct_nhwc(const Convolution& v) {
    const int64_t high = v.height_out(), wide = v.width_out();
    const int64_t pitch = (rounded_up(wide, kPixels) + v.kernel_width - 1) * v.inputs;
    const int64_t rest = v.kernel_height * v.kernel_width * v.inputs;
    const int64_t blocks = (v.outputs + kTileColumns - 1) / kTileColumns;
    const Scratch weights(blocks * kTileColumns * rest);
    const Scratch padded((v.height + 2 * v.padding) * pitch);
    pack_outputs(v.w, v.outputs, rest, kTileColumns, weights.get());
    for (int64_t n = 0; n < v.images; ++n) {
        zero(padded.get(), (v.height + 2 * v.padding) * pitch);
        for (int64_t row = 0; row < v.height; ++row)
            copy(v.x + (n * v.height + row) * v.width * v.inputs, v.width * v.inputs,
                 padded.get() + (row + v.padding) * pitch + v.padding * v.inputs);
        parallel_for(v.threads, high * blocks, [&](int64_t unit, int) {
            const int64_t row = unit / blocks, first = unit % blocks * kTileColumns;
            for (int64_t j = 0; j < wide; j += kPixels) {
                Vector sums[kPixels][kTileVectors] = {};
                add_pixels(v, padded.get() + row * pitch + j * v.inputs, pitch,
                           weights.get() + first * rest, sums);
                float* y = v.y + ((n * high + row) * wide + j) * v.outputs + first;
                for (int64_t p = 0; p < smaller(kPixels, wide - j); ++p)
                    for (int o = 0; o < kTileVectors && first + o * kLanes < v.outputs; ++o)
                        store_some(y + p * v.outputs + o * kLanes, sums[p][o],
                                   v.outputs - first - o * kLanes);
            }
        });
    }
}

// A vector of pixels of one channel.
KERNELS_INLINE Vector filtered(const Convolution& v, const float* x, int64_t pitch,
                               const float* w) {
    Vector sum = {};
    for (int64_t i = 0; i < v.kernel_height; ++i)
        for (int64_t j = 0; j < v.kernel_width; ++j) sum += splat(*w++) * load(x + i * pitch + j);
    return sum;
}

// Each channel alone. The copy with its border is all the memory it takes, so that y may be x: the
// in-place depthwise convolution of MCUNet (arXiv:2007.10319, section 3.2).
inline void depthwise(const Convolution& v) {
    const int64_t pitch = padded_pitch(v), plane = (v.height + 2 * v.padding) * pitch;
    const int64_t high = v.height_out(), wide = v.width_out();
    const int64_t taps = v.kernel_height * v.kernel_width;
    const Scratch copies(v.threads * plane);
    parallel_for(v.threads, v.images * v.inputs, [&](int64_t channel, int thread) {
        float* own = copies.get() + thread * plane;
        const float* w = v.w + channel % v.inputs * taps;
        add_border(v.x + channel * v.height * v.width, v.height, v.width, v.padding, pitch, own);
        for (int64_t row = 0; row < high; ++row)
            for (int64_t j = 0; j < wide; j += kLanes)
                store_some(v.y + (channel * high + row) * wide + j,
                           filtered(v, own + row * pitch + j, pitch, w), wide - j);
    });
}

}  // namespace
}  // namespace kernels
