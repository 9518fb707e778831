// Matrices that no group holds, on amplitudes in device memory.
#pragma once

#include "matrices.cuh"

namespace qsim::cuda {

// The matrix of a stage that has no other act.
class WideMatrix {
  public:
    WideMatrix(const Tape& tape, int stage)
        : stage_(tape.section<Stage>(tape.stages)[stage]),
          act_(tape.section<Act>(tape.acts)[stage_.matrix]),
          rows_(tape.section<Row>(tape.rows) + act_.control_begin),
          constant_(reinterpret_cast<const Complex*>(tape.section<Real>(tape.dense) + act_.dense)) {
    }

    int choice() const { return act_.choice; }
    const Complex* constant() const { return constant_; }

    // The amplitude at p of what the matrix, or its adjoint if `undone`, makes of psi.
    Complex amplitude(const Complex* entries, bool undone, const Complex* psi, u64 p) const {
        const u64 order = u64{1} << act_.axis;
        u64 row = 0;
        for (int q = 0; q < act_.axis; ++q)
            row |= static_cast<u64>(parity(rows_[q].row & p) ^ rows_[q].flip) << q;
        Complex total{0, 0};
        for (u64 column = 0; column < order; ++column) {
            u64 partner = p;
            for (int q = 0; q < act_.axis; ++q)
                if ((row ^ column) >> q & 1) partner ^= stage_.vectors[q];
            const Complex entry =
                undone ? conj(entries[column * order + row]) : entries[row * order + column];
            total = total + entry * psi[partner];
        }
        return total;
    }

  private:
    const Stage& stage_;
    const Act& act_;
    const Row* rows_;
    const Complex* constant_;
};

}  // namespace qsim::cuda
