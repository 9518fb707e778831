// Matrix products with vectors: the plain one, and the one with all techniques, as in Goto and van
// de Geijn, "Anatomy of High-Performance Matrix Multiplication" (doi.org/10.1145/1356052.1356053).
#pragma once

#include "kernels.hpp"
#include "support.hpp"
#include "vector.hpp"

namespace kernels {
namespace {

constexpr int64_t kDepth = 256;         // of a panel of b: 32 KiB at most, for the inner cache
constexpr int64_t kBlockColumns = 512;  // of b: 512 KiB at most, for the outer cache
constexpr int64_t kBlockRows = 8 * kTileRows;  // of a, the same: 96 KiB at most

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

// Parts of rows, columns and sums of a product.
struct Block {
    int64_t i0, i1, j0, j1, k0, k1;

    int64_t depth() const { return k1 - k0; }
};

// Columns of b as panels [k][kTileColumns], with zeros behind the last.
inline void pack_columns(const Matmul& m, const Block& block, float* panels) {
    for (int64_t j = block.j0; j < block.j1; j += kTileColumns) {
        const int64_t columns = smaller(block.j1 - j, kTileColumns);
        for (int64_t k = block.k0; k < block.k1; ++k, panels += kTileColumns) {
            copy(m.b + k * m.columns + j, columns, panels);
            if (columns < kTileColumns) zero(panels + columns, kTileColumns - columns);
        }
    }
}

// Rows of a as panels [k][kTileRows], with zeros behind the last.
inline void pack_rows(const Matmul& m, const Block& block, float* panels) {
    for (int64_t i = block.i0; i < block.i1; i += kTileRows, panels += block.depth() * kTileRows) {
        const int64_t rows = smaller(block.i1 - i, kTileRows);
        if (rows < kTileRows) zero(panels, block.depth() * kTileRows);
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t k = block.k0; k < block.k1; ++k)
                panels[(k - block.k0) * kTileRows + r] = m.a[(i + r) * m.inner + k];
    }
}

inline void multiply_block(const Matmul& m, const Block& block, const float* rows,
                           const float* columns) {
    const int64_t depth = block.depth();
    for (int64_t j = block.j0; j < block.j1; j += kTileColumns, columns += depth * kTileColumns) {
        const int64_t wide = smaller(block.j1 - j, kTileColumns);
        const float* a = rows;
        for (int64_t i = block.i0; i < block.i1; i += kTileRows, a += depth * kTileRows) {
            const int64_t high = smaller(block.i1 - i, kTileRows);
            float* c = m.c + i * m.columns + j;
            if (high == kTileRows && wide == kTileColumns)
                add_tile(depth, a, columns, c, m.columns);
            else
                add_part(depth, a, columns, c, m.columns, high, wide);
        }
    }
}

// Columns j0 to j1 of c by one thread. The next block of b is packed when all of a has met this
// one.
inline void multiply_columns(const Matmul& m, int64_t j0, int64_t j1) {
    const int64_t depth = smaller(m.inner, kDepth);
    const Scratch columns(rounded_up(smaller(j1 - j0, kBlockColumns), kTileColumns) * depth);
    const Scratch rows(kBlockRows * depth);
    for (int64_t j = j0; j < j1; j += kBlockColumns)
        for (int64_t k = 0; k < m.inner; k += kDepth) {
            Block block{0, 0, j, smaller(j + kBlockColumns, j1), k, smaller(k + kDepth, m.inner)};
            pack_columns(m, block, columns.get());
            for (; block.i0 < m.rows; block.i0 = block.i1) {
                block.i1 = smaller(block.i0 + kBlockRows, m.rows);
                pack_rows(m, block, rows.get());
                multiply_block(m, block, rows.get(), columns.get());
            }
        }
}

// Vectors, tiles in registers, in the inner and in the outer cache, and threads: each takes a part
// of the columns of c.
inline void matmul_all(const Matmul& m) {
    zero(m.c, m.rows * m.columns);
    const int64_t part = rounded_up((m.columns + m.threads - 1) / m.threads, kTileColumns);
    parallel_for(m.threads, (m.columns + part - 1) / part, [&](int64_t number, int) {
        multiply_columns(m, number * part, smaller((number + 1) * part, m.columns));
    });
}

}  // namespace
}  // namespace kernels
