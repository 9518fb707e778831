// Fixed matrices on several qubits: amplitudes of W cosets are brought together, multiplied and put
// back.
#pragma once

#include "tiles.hpp"

namespace qsim::cpu {
namespace {

template <class T>
struct Cosets {
    using V = typename Shape<T>::V;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;

    static void apply(const View<T>& view, const Operation& operation, const Tile& tile,
                      bool undone, T* state, T* scratch) {
        const Dense& dense = view.dense[view.items[operation.first].dense];
        const int size = 1 << dense.masks.size();
        const uint16_t* masks = view.masks + operation.second;
        uint32_t flips = 0;
        for (size_t q = 0; q < dense.masks.size(); ++q)
            flips |=
                (static_cast<uint32_t>(parity(dense.rows[q] & tile.base)) ^ (dense.flips >> q & 1))
                << q;
        const Segment& segment = view.segments[operation.segment_begin];
        const int64_t columns = static_cast<int64_t>(segment.end - segment.begin) * view.samples();
        for (int64_t column = 0; column < columns; column += W) {
            const int count = static_cast<int>(std::min<int64_t>(W, columns - column));
            const auto each = [&](auto visit) {
                for (int i = 0; i < size; ++i) {
                    unsigned offset = 0;
                    for (size_t q = 0; q < dense.masks.size(); ++q)
                        if ((static_cast<uint32_t>(i) ^ flips) >> q & 1) offset ^= masks[q];
                    for (int k = 0; k < count; ++k)
                        visit(state + where(view, tile, segment, column + k, offset),
                              scratch + 2 * W * i + k);
                }
            };
            each([](const T* amplitude, T* entry) {
                entry[0] = amplitude[0], entry[W] = amplitude[W];
            });
            T* product = scratch + 2 * W * size;
            multiply(dense, size, undone, scratch, product);
            each([&](T* amplitude, const T* entry) {
                const T* from = entry + (product - scratch);
                amplitude[0] = from[0], amplitude[W] = from[W];
            });
        }
    }

    // Where the amplitude of a column (a representative and a sample) stands.
    static int64_t where(const View<T>& view, const Tile& tile, const Segment& segment,
                         int64_t column, unsigned offset) {
        const int64_t sample = column % view.samples();
        const unsigned address = view.indices[segment.begin + column / view.samples()] ^ offset;
        const unsigned within = (1u << view.lane_bits) - 1;
        return tile.at[address >> view.lane_bits] + (sample << view.lane_bits) + (address & within);
    }

    static void multiply(const Dense& dense, int size, bool undone, const T* in, T* out) {
        for (int i = 0; i < size; ++i) {
            V re[C]{}, im[C]{};
            for (int k = 0; k < size; ++k) {
                const Complex entry =
                    undone ? std::conj(dense.matrix[k * size + i]) : dense.matrix[i * size + k];
                const V mr = splat<V>(static_cast<T>(entry.real())),
                        mi = splat<V>(static_cast<T>(entry.imag()));
                for (int c = 0; c < C; ++c) {
                    const V r = load<V>(in + 2 * W * k + c * N),
                            m = load<V>(in + 2 * W * k + W + c * N);
                    re[c] += mr * r - mi * m;
                    im[c] += mr * m + mi * r;
                }
            }
            for (int c = 0; c < C; ++c) {
                store(out + 2 * W * i + c * N, re[c]);
                store(out + 2 * W * i + W + c * N, im[c]);
            }
        }
    }
};

}  // namespace
}  // namespace qsim::cpu
