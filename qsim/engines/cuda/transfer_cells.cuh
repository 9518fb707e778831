// Cells of a tile: 16 components, two digits, that a thread takes through a group's acts.
#pragma once

#include "platform.cuh"
#include "transfer_tape.cuh"

namespace qsim::cuda {

constexpr int kCell = kGroupComponents;

// Rows X, Y, Z of a map; row I is (1, 0, 0, 0).
struct Map {
    Real m[kMapEntries];
};

// sums[i][k] (second[i][1..3] . first[1..3][k]), and with `affine` second[i][0] for k = 0: second
// after first, where a map has row I, and a derivative has none.
inline Map product(const Map& second, const Map& first, bool affine) {
    Map both;
    for (int i = 0; i < kMapEntries; i += 4) {
        for (int k = 0; k < 4; ++k) {
            both.m[i + k] = second.m[i + 1] * first.m[k] + second.m[i + 2] * first.m[4 + k] +
                            second.m[i + 3] * first.m[8 + k];
        }
        if (affine) both.m[i] += second.m[i];
    }
    return both;
}

inline void factor_turn(const TransferArguments& args, const TransferFactor& factor, int sample,
                        Real* sine, Real* cosine) {
    *sine = *cosine = 0;
    if (factor.source < 0) return;
    const Real* row = static_cast<const Real*>(args.sources[factor.source]) +
                      args.strides[factor.source] * sample;
    const double angle = factor.scale * static_cast<double>(row[factor.index]) + factor.offset;
    sine_cosine(angle, sine, cosine);
}

inline Map factor_map(const TransferArguments& args, const TransferFactor& factor, int sample) {
    Real sine, cosine;
    factor_turn(args, factor, sample, &sine, &cosine);
    Map made;
    for (int e = 0; e < kMapEntries; ++e)
        made.m[e] = static_cast<Real>(factor.constant[e]) +
                    cosine * static_cast<Real>(factor.cosine[e]) +
                    sine * static_cast<Real>(factor.sine[e]);
    return made;
}

inline Map factor_slope(const TransferArguments& args, const TransferFactor& factor, int sample) {
    Real sine, cosine;
    factor_turn(args, factor, sample, &sine, &cosine);
    Map made;
    for (int e = 0; e < kMapEntries; ++e)
        made.m[e] =
            cosine * static_cast<Real>(factor.sine[e]) - sine * static_cast<Real>(factor.cosine[e]);
    return made;
}

// Product of the factors begin to end, the first one first.
inline Map chain(const TransferArguments& args, const TransferFactor* factors, int begin, int end,
                 int sample) {
    Map made{{0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}};
    for (int f = begin; f < end; ++f)
        made = product(factor_map(args, factors[f], sample), made, true);
    return made;
}

// Where the components of a cell stand in the tile.
struct Cell {
    u32 at, basis[2 * kGroupDigits];

    Cell(const TransferGroup& group, int number)
        : at(bank_swizzle(
              static_cast<u32>(spread(static_cast<u64>(number), group.bits, 2 * kGroupDigits)))) {
#pragma unroll
        for (int b = 0; b < 2 * kGroupDigits; ++b) basis[b] = bank_swizzle(1u << group.bits[b]);
    }

    u32 where(int k) const {
        u32 place = at;
#pragma unroll
        for (int b = 0; b < 2 * kGroupDigits; ++b)
            if (k >> b & 1) place ^= basis[b];
        return place;
    }

    void load(const Real* from, Real* x) const {
#pragma unroll
        for (int k = 0; k < kCell; ++k) x[k] = from[where(k)];
    }

    void store(const Real* x, Real* to) const {
#pragma unroll
        for (int k = 0; k < kCell; ++k) to[where(k)] = x[k];
    }
};

// A map, or its transpose, on the digit whose values stand STEP apart.
template <int STEP, bool BACK>
inline void apply_map(const Map& map, Real* x) {
    const Real* m = map.m;
#pragma unroll
    for (int k = 0; k < kCell; ++k) {
        if (k / STEP % 4) continue;
        const Real a = x[k], b = x[k + STEP], c = x[k + 2 * STEP], d = x[k + 3 * STEP];
        if constexpr (BACK) {
            x[k] = a + m[0] * b + m[4] * c + m[8] * d;
            x[k + STEP] = m[1] * b + m[5] * c + m[9] * d;
            x[k + 2 * STEP] = m[2] * b + m[6] * c + m[10] * d;
            x[k + 3 * STEP] = m[3] * b + m[7] * c + m[11] * d;
        } else {
            x[k + STEP] = m[0] * a + m[1] * b + m[2] * c + m[3] * d;
            x[k + 2 * STEP] = m[4] * a + m[5] * b + m[6] * c + m[7] * d;
            x[k + 3 * STEP] = m[8] * a + m[9] * b + m[10] * c + m[11] * d;
        }
    }
}

// sums[i][k] += lambda[i + 1] given[k] over the cell.
template <int STEP>
inline void add_map_sums(const Real* given, const Real* lambda, Real* sums) {
#pragma unroll
    for (int k = 0; k < kCell; ++k) {
        if (k / STEP % 4) continue;
#pragma unroll
        for (int e = 0; e < kMapEntries; ++e)
            sums[e] += lambda[k + (e / 4 + 1) * STEP] * given[k + e % 4 * STEP];
    }
}

// A move goes through the cell's own places in the tile, because registers have no addresses.
template <bool BACK>
inline void apply_move(const TransferMove<Real>& move, const Cell& cell, Real* tile, Real* x) {
    if constexpr (BACK) {
#pragma unroll
        for (int k = 0; k < kCell; ++k) tile[cell.where(move.source[k])] = move.weight[k] * x[k];
        cell.load(tile, x);
    } else {
        cell.store(x, tile);
#pragma unroll
        for (int k = 0; k < kCell; ++k) x[k] = move.weight[k] * tile[cell.where(move.source[k])];
    }
}

template <bool BACK>
inline void apply_square(const Real* entries, const Cell& cell, Real* tile, Real* x) {
#pragma unroll 1
    for (int i = 0; i < kCell; ++i) {
        Real total = 0;
#pragma unroll
        for (int k = 0; k < kCell; ++k)
            total += entries[BACK ? kCell * k + i : kCell * i + k] * x[k];
        tile[cell.where(i)] = total;
    }
    cell.load(tile, x);
}

}  // namespace qsim::cuda
