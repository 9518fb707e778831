// Groups: several acts on amplitudes in registers, between one reading of the tile and one writing.
#pragma once

#include "matrices.cuh"

namespace qsim::cuda {

// A tile on its way through a stage, in shared memory.
struct Tile {
    Complex* psi;
    Complex* lambda;  // null on the way there
    int bits;
    u64 place;               // of its representative in the state
    const Matrix* matrices;  // of the batch's acts
    Real* sums;              // [warps][kBatchActs][4]
};

// The amplitudes of one thread.
struct Coset {
    u32 base, at;  // place in the tile, as it is and swizzled
    u32 basis[kBits];
    bool live;  // threads without amplitudes take part in sums

    Coset(const Tile& tile, const Group& group, int number)
        : live(number < 1 << (tile.bits - kBits)) {
        base = static_cast<u32>(spread(static_cast<u64>(number), group.pivots, kBits));
        at = swizzle(base);
#pragma unroll
        for (int k = 0; k < kBits; ++k) basis[k] = group.basis[k];
    }

    u32 where(int j) const {
        u32 place = at;
#pragma unroll
        for (int k = 0; k < kBits; ++k)
            if (j >> k & 1) place ^= basis[k];
        return place;
    }

    void load(const Complex* from, Complex* amplitudes) const {
#pragma unroll
        for (int j = 0; j < kSize; ++j) amplitudes[j] = live ? from[where(j)] : Complex{0, 0};
    }

    void store(const Complex* amplitudes, Complex* to) const {
        if (!live) return;
#pragma unroll
        for (int j = 0; j < kSize; ++j) to[where(j)] = amplitudes[j];
    }

    // The values of a qubit in the coset, bit j at amplitude j.
    u32 values(const Tile& tile, const Row& row) const {
        const bool one =
            parity(row.row & tile.place) ^ parity(row.local_row & base) ^ (row.flip & 1u);
        return (row.pattern ^ (one ? ~0u : 0u)) & ((1u << kSize) - 1);
    }
};

// Where all controls are 1.
inline u32 active(const Tile& tile, const Act& act, const Row* rows, const Coset& coset) {
    u32 found = (1u << kSize) - 1;
    for (int c = act.control_begin; c < act.control_end; ++c) found &= coset.values(tile, rows[c]);
    return found;
}

template <bool REAL>
inline void rotate(const Matrix& u, Complex& zero, Complex& one) {
    const Complex a = zero, b = one;
    if constexpr (REAL) {
        zero = u.m[0].re * a + u.m[1].re * b;
        one = u.m[2].re * a + u.m[3].re * b;
    } else {
        zero = u.m[0] * a + u.m[1] * b;
        one = u.m[2] * a + u.m[3] * b;
    }
}

template <int AXIS, bool REAL>
inline void rotate_pairs(const Matrix& u, u32 where, Complex* amplitudes) {
    constexpr int kOther = 1 << AXIS;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
        if (j & kOther) continue;
        if (where >> j & 1) rotate<REAL>(u, amplitudes[j], amplitudes[j | kOther]);
    }
}

// Im<lambda|P|psi> of P = I, X, Y, Z over the thread's pairs, of which the first is 0.
template <int AXIS>
inline void pair_sums(u32 where, const Complex* psi, const Complex* lambda, Real* sums) {
    constexpr int kOther = 1 << AXIS;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
        if (j & kOther) continue;
        if (!(where >> j & 1)) continue;
        const Complex a = psi[j], b = psi[j | kOther], c = lambda[j], d = lambda[j | kOther];
        const Real zero = product(c, a).im, one = product(d, b).im;
        const Complex up = product(c, b), down = product(d, a);
        sums[0] += zero + one;
        sums[1] += up.im + down.im;
        sums[2] += down.re - up.re;
        sums[3] += zero - one;
    }
}

// visit(std::integral_constant-like axis) for an axis that is known at run time only.
template <int AXIS>
struct Axis {
    static constexpr int value = AXIS;
};
template <class Visit>
inline void with_axis(int axis, Visit visit) {
    switch (axis) {
        case 0:
            return visit(Axis<0>{});
        case 1:
            return visit(Axis<1>{});
        case 2:
            return visit(Axis<2>{});
        default:
            return visit(Axis<kBits - 1>{});
    }
}

// A matrix, or the one that undoes it, on pairs whose first amplitude is |1> if `one`.
inline Matrix turned(const Matrix& u, bool one, bool undone) {
    const int flip = one ? 3 : 0;
    const Complex a = u.m[flip], b = u.m[1 ^ flip], c = u.m[2 ^ flip], d = u.m[3 ^ flip];
    if (!undone) return {{a, b, c, d}};
    return {{conj(a), conj(c), conj(b), conj(d)}};
}

inline void apply_pairs(const Act& act, const Matrix& u, u32 where, Complex* amplitudes) {
    with_axis(act.axis, [&](auto axis) {
        if (act.kind == kRealAct) {
            rotate_pairs<axis.value, true>(u, where, amplitudes);
        } else {
            rotate_pairs<axis.value, false>(u, where, amplitudes);
        }
    });
}

inline void apply_phases(const Matrix& u, u32 ones, u32 where, Complex* amplitudes) {
#pragma unroll
    for (int j = 0; j < kSize; ++j)
        if (where >> j & 1) amplitudes[j] = (ones >> j & 1 ? u.m[3] : u.m[0]) * amplitudes[j];
}

// A matrix, or its adjoint.
inline void apply_act(const Act& act, const Matrix& u, u32 ones, u32 where, bool undone,
                      Complex* amplitudes) {
    const bool diagonal = act.kind == kDiagonalAct;
    const Matrix made = turned(u, !diagonal && ones & 1, undone);
    if (diagonal) {
        apply_phases(made, ones, where, amplitudes);
    } else {
        apply_pairs(act, made, where, amplitudes);
    }
}

// visit(number, amplitude) for what a matrix on the first QUBITS vectors of the basis makes;
// `flips` are the qubits that are 1 at the base. One after another: to keep them all would take too
// many registers.
template <int QUBITS, class Visit>
inline void each_row(const Complex* entries, u32 flips, bool undone, const Complex* amplitudes,
                     Visit visit) {
    constexpr int kRows = 1 << QUBITS;
#pragma unroll
    for (int block = 0; block < kSize; block += kRows) {
#pragma unroll 1
        for (int i = 0; i < kRows; ++i) {
            const u32 row = static_cast<u32>(i) ^ flips;
            Complex made{0, 0};
#pragma unroll
            for (int k = 0; k < kRows; ++k) {
                const u32 column = static_cast<u32>(k) ^ flips;
                const Complex entry =
                    undone ? conj(entries[column * kRows + row]) : entries[row * kRows + column];
                made = made + entry * amplitudes[block + k];
            }
            visit(block + i, made);
        }
    }
}

// The qubits of a matrix act that are 1 at the base.
inline u32 flips_of(const Tape& tape, const Tile& tile, const Act& act, const Coset& coset) {
    u32 flips = 0;
    for (int q = 0; q < act.axis; ++q) {
        const Row& row = tape.section<Row>(tape.rows)[act.control_begin + q];
        flips |= (coset.values(tile, row) & 1) << q;
    }
    return flips;
}

// scale times a matrix, or its adjoint, on a group of its own.
inline void matrix_group(const Tape& tape, const Tile& tile, const Group& group,
                         const Complex* entries, Real scale, bool undone, Complex* state) {
    const Act& act = tape.section<Act>(tape.acts)[group.act_begin];
    const int cosets = 1 << (tile.bits - kBits);
    for (int number = threadIdx.x; number < cosets; number += blockDim.x) {
        const Coset coset(tile, group, number);
        const u32 flips = flips_of(tape, tile, act, coset);
        Complex amplitudes[kSize];
        coset.load(state, amplitudes);
        const auto keep = [&](int j, Complex made) {
            if (coset.live) state[coset.where(j)] = scale * made;
        };
        switch (act.axis) {
            case 2:
                each_row<2>(entries, flips, undone, amplitudes, keep);
                break;
            case 3:
                each_row<3>(entries, flips, undone, amplitudes, keep);
                break;
            default:
                each_row<kBits>(entries, flips, undone, amplitudes, keep);
        }
    }
}

inline const Complex* constant_entries(const Tape& tape, const Group& group) {
    const Act& act = tape.section<Act>(tape.acts)[group.act_begin];
    return reinterpret_cast<const Complex*>(tape.section<Real>(tape.dense) + act.dense);
}

inline bool is_matrix(const Tape& tape, const Group& group) {
    return group.act_begin < group.act_end &&
           tape.section<Act>(tape.acts)[group.act_begin].kind == kMatrixAct;
}

inline void forward_group(const Tape& tape, const Tile& tile, const Batch& batch,
                          const Group& group) {
    if (is_matrix(tape, group))
        return matrix_group(tape, tile, group, constant_entries(tape, group), 1, false, tile.psi);
    const Act* acts = tape.section<Act>(tape.acts);
    const Row* rows = tape.section<Row>(tape.rows);
    const int cosets = 1 << (tile.bits - kBits);
    for (int number = threadIdx.x; number < cosets; number += blockDim.x) {
        const Coset coset(tile, group, number);
        Complex psi[kSize];
        coset.load(tile.psi, psi);
        for (int a = group.act_begin; a < group.act_end; ++a) {
            const Act& act = acts[a];
            const Matrix& u = tile.matrices[a - batch.act_begin];
            const u32 where = active(tile, act, rows, coset), ones = coset.values(tile, act.target);
            apply_act(act, u, ones, where, false, psi);
        }
        coset.store(psi, tile.psi);
    }
}

// The sums of an act over the thread's amplitudes, with both states as they are after it.
inline void act_sums(const Act& act, u32 ones, u32 where, const Complex* psi, const Complex* lambda,
                     Real* sums) {
    for (int k = 0; k < 4; ++k) sums[k] = 0;
    if (act.kind == kDiagonalAct) {
#pragma unroll
        for (int j = 0; j < kSize; ++j) {
            if (!(where >> j & 1)) continue;
            const Real overlap = product(lambda[j], psi[j]).im;
            sums[0] += overlap;
            sums[3] += ones >> j & 1 ? -overlap : overlap;
        }
        return;
    }
    with_axis(act.axis, [&](auto axis) { pair_sums<axis.value>(where, psi, lambda, sums); });
    if (ones & 1) sums[2] = -sums[2], sums[3] = -sums[3];
}

inline void backward_group(const Tape& tape, const Tile& tile, const Batch& batch,
                           const Group& group, int wanted) {
    if (is_matrix(tape, group)) {
        const Complex* entries = constant_entries(tape, group);
        matrix_group(tape, tile, group, entries, 1, true, tile.psi);
        return matrix_group(tape, tile, group, entries, 1, true, tile.lambda);
    }
    const Act* acts = tape.section<Act>(tape.acts);
    const Row* rows = tape.section<Row>(tape.rows);
    const int cosets = 1 << (tile.bits - kBits), warp = static_cast<int>(threadIdx.x) / kWarp;
    for (int first = 0; first < cosets; first += blockDim.x) {
        const Coset coset(tile, group, first + static_cast<int>(threadIdx.x));
        Complex psi[kSize], lambda[kSize];
        coset.load(tile.psi, psi);
        coset.load(tile.lambda, lambda);
        for (int a = group.act_end; a-- > group.act_begin;) {
            const Act& act = acts[a];
            const u32 where = active(tile, act, rows, coset), ones = coset.values(tile, act.target);
            if (act.depends & wanted) {
                Real sums[4];
                act_sums(act, ones, where, psi, lambda, sums);
                Real* row = tile.sums + 4 * (warp * kBatchActs + a - batch.act_begin);
                for (int k = 0; k < 4; ++k) {
                    const Real sum = warp_sum(sums[k]);
                    if (threadIdx.x % kWarp == 0) row[k] += sum;
                }
            }
            const bool diagonal = act.kind == kDiagonalAct;
            const Matrix u =
                turned(tile.matrices[a - batch.act_begin], !diagonal && ones & 1, true);
            if (diagonal) {  // one branch for both states: two take more registers
                apply_phases(u, ones, where, psi);
                apply_phases(u, ones, where, lambda);
            } else {
                apply_pairs(act, u, where, psi);
                apply_pairs(act, u, where, lambda);
            }
        }
        coset.store(psi, tile.psi);
        coset.store(lambda, tile.lambda);
    }
}

}  // namespace qsim::cuda
