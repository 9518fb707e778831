// Matrix products with vectors: the plain one, and the one with all techniques, as in Goto and van
// de Geijn, "Anatomy of High-Performance Matrix Multiplication" (doi.org/10.1145/1356052.1356053).
#pragma once

#include "kernels.hpp"
#include "support.hpp"
#include "vector.hpp"

namespace kernels {
namespace {

constexpr int64_t kDepth = 256;  // of a panel of b: 32 KiB at most, for the inner cache
constexpr int64_t kBlockRows = 8 * kTileRows;  // of a: 96 KiB at most, for the outer cache

// Rows of c, each a sum of rows of b, a vector at a time.
inline void matmul_simd(const Matmul& m) {
    zero(m.c, m.rows * m.columns);
    for (int64_t i = 0; i < m.rows; ++i) {
        float* c = m.c + i * m.columns;
        for (int64_t k = 0; k < m.inner; ++k) {
            const float a = m.a[i * m.inner + k];
            const float* b = m.b + k * m.columns;
            int64_t j = 0;
            for (; j + kLanes <= m.columns; j += kLanes)
                store(c + j, load(c + j) + splat(a) * load(b + j));
            for (; j < m.columns; ++j) c[j] += a * b[j];
        }
    }
}

// A tile of results grows by panels a [depth][kTileRows] and b [depth][kTileColumns].
KERNELS_INLINE void add_tile(int64_t depth, const float* a, const float* b, float* c,
                             int64_t pitch) {
    Vector sums[kTileRows][kTileVectors];
    for (int i = 0; i < kTileRows; ++i)
        for (int v = 0; v < kTileVectors; ++v) sums[i][v] = load(c + i * pitch + v * kLanes);
    for (int64_t k = 0; k < depth; ++k, a += kTileRows, b += kTileColumns) {
        const Vector row[kTileVectors] = {load(b), load(b + kLanes)};
#pragma GCC unroll 16
        for (int i = 0; i < kTileRows; ++i)
            for (int v = 0; v < kTileVectors; ++v) sums[i][v] += splat(a[i]) * row[v];
    }
    for (int i = 0; i < kTileRows; ++i)
        for (int v = 0; v < kTileVectors; ++v) store(c + i * pitch + v * kLanes, sums[i][v]);
}

// The same where a part of the tile lies outside of c.
inline void add_part(int64_t depth, const float* a, const float* b, float* c, int64_t pitch,
                     int64_t rows, int64_t columns) {
    alignas(64) float tile[kTileRows * kTileColumns] = {};
    for (int64_t i = 0; i < rows; ++i) copy(c + i * pitch, columns, tile + i * kTileColumns);
    add_tile(depth, a, b, tile, kTileColumns);
    for (int64_t i = 0; i < rows; ++i) copy(tile + i * kTileColumns, columns, c + i * pitch);
}

// Columns j0 on of rows k0 to k1 of b as a panel [k][kTileColumns], with zeros behind the last.
inline void pack_columns(const Matmul& m, int64_t k0, int64_t k1, int64_t j0, float* panel) {
    const int64_t columns = smaller(m.columns - j0, kTileColumns);
    for (int64_t k = k0; k < k1; ++k, panel += kTileColumns) {
        copy(m.b + k * m.columns + j0, columns, panel);
        zero(panel + columns, kTileColumns - columns);
    }
}

// Rows i0 on of a as panels [k][kTileRows], with zeros behind the last.
inline void pack_rows(const Matmul& m, int64_t k0, int64_t k1, int64_t i0, int64_t i1,
                      float* panels) {
    for (int64_t i = i0; i < i1; i += kTileRows, panels += (k1 - k0) * kTileRows) {
        const int64_t rows = smaller(i1 - i, kTileRows);
        if (rows < kTileRows) zero(panels, (k1 - k0) * kTileRows);
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t k = k0; k < k1; ++k)
                panels[(k - k0) * kTileRows + r] = m.a[(i + r) * m.inner + k];
    }
}

inline void multiply_block(const Matmul& m, int64_t depth, int64_t i0, int64_t i1,
                           const float* rows, const float* columns) {
    for (int64_t j = 0; j < m.columns; j += kTileColumns, columns += depth * kTileColumns) {
        const int64_t wide = smaller(m.columns - j, kTileColumns);
        const float* a = rows;
        for (int64_t i = i0; i < i1; i += kTileRows, a += depth * kTileRows) {
            const int64_t high = smaller(i1 - i, kTileRows);
            float* c = m.c + i * m.columns + j;
            if (high == kTileRows && wide == kTileColumns)
                add_tile(depth, a, columns, c, m.columns);
            else
                add_part(depth, a, columns, c, m.columns, high, wide);
        }
    }
}

// Vectors, tiles in registers, in the inner and in the outer cache, and threads: each takes a part
// of the rows of c.
inline void matmul_all(const Matmul& m) {
    zero(m.c, m.rows * m.columns);
    const int64_t panels = (m.columns + kTileColumns - 1) / kTileColumns;
    const int64_t part = rounded_up((m.rows + m.threads - 1) / m.threads, kTileRows);
    const Scratch columns(panels * kTileColumns * m.inner);
    const Scratch rows(m.threads * kBlockRows * smaller(m.inner, kDepth));
    parallel_for(m.threads, panels, [&](int64_t panel, int) {
        for (int64_t k0 = 0; k0 < m.inner; k0 += kDepth) {
            const int64_t k1 = smaller(k0 + kDepth, m.inner);
            pack_columns(m, k0, k1, panel * kTileColumns,
                         columns.get() + (panels * k0 + panel * (k1 - k0)) * kTileColumns);
        }
    });
    parallel_for(m.threads, m.threads, [&](int64_t own, int) {
        float* packed = rows.get() + own * kBlockRows * smaller(m.inner, kDepth);
        const int64_t end = smaller((own + 1) * part, m.rows);
        for (int64_t k0 = 0; k0 < m.inner; k0 += kDepth)
            for (int64_t i0 = own * part; i0 < end; i0 += kBlockRows) {
                const int64_t k1 = smaller(k0 + kDepth, m.inner);
                const int64_t i1 = smaller(i0 + kBlockRows, end);
                pack_rows(m, k0, k1, i0, i1, packed);
                multiply_block(m, k1 - k0, i0, i1, packed,
                               columns.get() + panels * k0 * kTileColumns);
            }
    });
}

}  // namespace
}  // namespace kernels
