// What programs are made of: fused gates as small matrices on addresses.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

namespace qsim {

using Complex = std::complex<double>;

inline uint64_t parity(uint64_t bits) { return static_cast<uint64_t>(__builtin_parityll(bits)); }

// What an item's matrix is; a rotation is the real part R of a dense one whose phases went into
// layers, a matrix item has more than one qubit, a channel item is one of several such matrices.
enum Kind : uint8_t { kDiagonal, kReal, kDense, kRotation, kMatrixItem, kChannelItem };

// The qubit is 1 at address p if parity(row & p) ^ flip is 1.
struct Control {
    uint64_t row;
    uint8_t flip;
};

// A fused one-qubit gate: factors applied in order to the pairs (p, p ^ mask), where all controls
// are 1. A matrix or channel item has no factors, but an entry among the dense matrices.
struct Item {
    int32_t factor_begin, factor_end;
    int32_t control_begin, control_end;
    int32_t dense;
    uint64_t mask, row;
    uint8_t kind, depends, flip;  // depends: bit `Source` set if a factor reads it

    int num_controls() const { return control_end - control_begin; }
};

// A fixed matrix on qubits i with masks and rows as above, 2^k x 2^k by rows.
struct Dense {
    std::vector<uint64_t> masks, rows;
    uint32_t flips;
    std::vector<Complex> matrix;
    int32_t choice = -1;  // of a channel item, which has no matrix
};

// "All controls are 1" is a product of (1 - (-1)^control) / 2; multiplied out, it is a sum of
// weight * (-1)^(rows.p): calls visit(weight, rows) for each term.
template <class Visit>
void each_character(const Item& item, const Control* controls, Visit visit) {
    const int count = item.num_controls();
    for (int chosen = 0; chosen < 1 << count; ++chosen) {
        double weight = 1.0 / (1 << count);
        uint64_t rows = 0;
        for (int c = 0; c < count; ++c) {
            if (!(chosen >> c & 1)) continue;
            const Control& control = controls[item.control_begin + c];
            weight *= control.flip ? 1 : -1;
            rows ^= control.row;
        }
        visit(weight, rows);
    }
}

}  // namespace qsim
