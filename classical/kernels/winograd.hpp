// 3x3 convolutions with 16 products for 4 outputs instead of 36: Lavin and Gray, "Fast Algorithms
// for Convolutional Neural Networks" (arXiv:1509.09308), F(2x2, 3x3), two-dimensional F(2, 3).
#pragma once

#include "convolution.hpp"

namespace kernels {
namespace {

constexpr int kPoints = 4;  // of a tile, along each axis

// G: weights of 3 taps at 4 points.
template <class V>
KERNELS_INLINE void weights_at_points(const V (&g)[3], V (&to)[kPoints]) {
    to[0] = g[0];
    to[1] = (g[0] + g[1] + g[2]) * 0.5f;
    to[2] = (g[0] - g[1] + g[2]) * 0.5f;
    to[3] = g[2];
}

// B^T: 4 inputs at 4 points.
template <class V>
KERNELS_INLINE void inputs_at_points(const V (&d)[kPoints], V (&to)[kPoints]) {
    to[0] = d[0] - d[2];
    to[1] = d[1] + d[2];
    to[2] = d[2] - d[1];
    to[3] = d[1] - d[3];
}

// A^T: 2 outputs from 4 points.
template <class V>
KERNELS_INLINE void outputs_from_points(const V (&m)[kPoints], V (&to)[2]) {
    to[0] = m[0] + m[1] + m[2];
    to[1] = m[1] - m[2] - m[3];
}

// A transform of columns, then of rows.
template <int In, int Out, class V>
KERNELS_INLINE void along_both(void (*transform)(const V (&)[In], V (&)[Out]),
                               const V (&from)[In][In], V (&to)[Out][Out]) {
    V half[Out][In];
    for (int column = 0; column < In; ++column) {
        V line[In], result[Out];
        for (int row = 0; row < In; ++row) line[row] = from[row][column];
        transform(line, result);
        for (int row = 0; row < Out; ++row) half[row][column] = result[row];
    }
    for (int row = 0; row < Out; ++row) transform(half[row], to[row]);
}

// Transformed values of a matrix [rows][columns] for each of the 16 points.
struct Points {
    float* data;
    int64_t rows, columns;

    float* at(int64_t point, int64_t row, int64_t column) const {
        return data + (point * rows + row) * columns + column;
    }
};

inline void transform_weights(const Convolution& v, const Points& u, int64_t o, int64_t c) {
    const float* w = v.w + (o * v.inputs + c) * 9;
    float taps[3][3], points[kPoints][kPoints];
    std::memcpy(taps, w, sizeof taps);
    along_both<3, kPoints, float>(weights_at_points<float>, taps, points);
    for (int p = 0; p < 16; ++p) *u.at(p, o, c) = points[p / 4][p % 4];
}

// An image with its border, the even columns of a row before the odd ones, so that neighbouring
// tiles lie in a vector.
struct Halves {
    const float* data;
    int64_t half;  // columns of each

    Vector read(int64_t row, int64_t tile, int column) const {
        return load(data + (2 * row + column % 2) * half + tile + column / 2);
    }
};

inline void split_columns(const Convolution& v, const float* x, int64_t half, float* to) {
    for (int64_t row = v.padding; row < v.height + v.padding; ++row)
        for (int64_t column = v.padding; column < v.width + v.padding; ++column)
            to[(2 * row + column % 2) * half + column / 2] = *x++;
}

// Tiles of a row lie behind those of the row before; a vector that reaches over the end of its row
// is written before that of the next row, which puts it right.
inline void transform_inputs(const Halves& x, const Points& points, int64_t c, int64_t high,
                             int64_t wide) {
    for (int64_t i = 0; i < high; ++i)
        for (int64_t j = 0; j < wide; j += kLanes) {
            Vector tile[kPoints][kPoints], at[kPoints][kPoints];
            for (int r = 0; r < kPoints; ++r)
                for (int s = 0; s < kPoints; ++s) tile[r][s] = x.read(2 * i + r, j, s);
            along_both<kPoints, kPoints, Vector>(inputs_at_points<Vector>, tile, at);
            for (int p = 0; p < 16; ++p) store(points.at(p, c, i * wide + j), at[p / 4][p % 4]);
        }
}

// A row of tiles gives two rows of outputs, even and odd columns apart.
inline void transform_outputs(const Convolution& v, const Points& points, int64_t o, int64_t wide,
                              float* y) {
    const int64_t rows = v.height_out(), columns = v.width_out();
    for (int64_t i = 0; i < rows; i += 2)
        for (int64_t j = 0; j < wide; j += kLanes) {
            Vector at[kPoints][kPoints], out[2][2];
            for (int p = 0; p < 16; ++p) at[p / 4][p % 4] = load(points.at(p, o, i / 2 * wide + j));
            along_both<kPoints, 2, Vector>(outputs_from_points<Vector>, at, out);
            for (int64_t r = 0; r < smaller(2, rows - i); ++r) {
                float even[kLanes], odd[kLanes], both[2 * kLanes];
                store(even, out[r][0]);
                store(odd, out[r][1]);
                for (int k = 0; k < kLanes; ++k) {
                    both[2 * k] = even[k];
                    both[2 * k + 1] = odd[k];
                }
                copy(both, smaller(2 * kLanes, columns - 2 * j), y + (i + r) * columns + 2 * j);
            }
        }
}

inline void winograd(const Convolution& v) {
    const int64_t high = (v.height_out() + 1) / 2, wide = (v.width_out() + 1) / 2;
    const int64_t tiles = (high - 1) * wide + rounded_up(wide, kLanes);
    const int64_t half = rounded_up(wide, kLanes) + 1, plane = (2 * high + 2) * 2 * half;
    const Scratch u_data(16 * v.outputs * v.inputs), in_data(16 * v.inputs * tiles);
    const Scratch out_data(16 * v.outputs * tiles), copies(v.threads * plane);
    const Points u{u_data.get(), v.outputs, v.inputs}, in{in_data.get(), v.inputs, tiles};
    const Points out{out_data.get(), v.outputs, tiles};
    parallel_for(v.threads, v.outputs, [&](int64_t o, int) {
        for (int64_t c = 0; c < v.inputs; ++c) transform_weights(v, u, o, c);
    });
    for (int64_t n = 0; n < v.images; ++n) {
        parallel_for(v.threads, v.inputs, [&](int64_t c, int thread) {
            float* own = copies.get() + thread * plane;
            zero(own, plane);
            split_columns(v, v.x + (n * v.inputs + c) * v.height * v.width, half, own);
            transform_inputs({own, half}, in, c, high, wide);
        });
        parallel_for(v.threads, 16, [&](int64_t p, int) {
            matmul_all(
                {v.outputs, tiles, v.inputs, u.at(p, 0, 0), in.at(p, 0, 0), out.at(p, 0, 0), 1});
        });
        parallel_for(v.threads, v.outputs, [&](int64_t o, int) {
            transform_outputs(v, out, o, wide,
                              v.y + (n * v.outputs + o) * v.height_out() * v.width_out());
        });
    }
}

}  // namespace
}  // namespace kernels
