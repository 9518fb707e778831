// Program -> Schedule: the items in sweeps over tiles, with phases pulled out of dense gates.
//
// A one-qubit unitary is diag(a) R diag(c) with R real. The diagonal parts of neighbouring gates
// commute with each other and with gates on other qubits, so they are gathered into layers: one
// multiplication an amplitude for a whole layer, and real rotations, at half the arithmetic of
// dense gates, for the rest. The phases of a layer are a Walsh-Hadamard transform of the gates'
// angles, and the gradients a transform of Im(conj(lambda) psi).
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace qsim {

inline uint64_t parity(uint64_t bits) { return static_cast<uint64_t>(__builtin_parityll(bits)); }

// What an item's matrix is; a rotation is the real part R of a dense one whose phases went into
// layers.
enum Kind : uint8_t { kDiagonal, kReal, kDense, kRotation };

// A fused one-qubit gate: factors applied in order to the pairs (p, p ^ mask), where all controls
// are 1.
struct Item {
    int32_t factor_begin, factor_end;
    uint64_t mask, row, control_row[2];
    uint8_t kind, controls, depends;  // depends: bit `Source` set if a factor reads it
    uint8_t flip, control_flip[2];

    // "All controls are 1" is a product of (1 - (-1)^control) / 2; multiplied out, it is a sum of
    // weight * (-1)^(rows.p): calls visit(weight, rows) for each term.
    template <class Visit>
    void each_character(Visit visit) const {
        for (int chosen = 0; chosen < 1 << controls; ++chosen) {
            double weight = 1.0 / (1 << controls);
            uint64_t rows = 0;
            for (int c = 0; c < controls; ++c) {
                if (!(chosen >> c & 1)) continue;
                weight *= control_flip[c] ? 1 : -1;
                rows ^= control_row[c];
            }
            visit(weight, rows);
        }
    }
};

// What a schedule is made for.
struct ScheduleRequest {
    int bits;         // tiles have at most 2^bits amplitudes, bits <= 16
    uint8_t batched;  // bit `Source` set if samples differ in it
    auto operator<=>(const ScheduleRequest&) const = default;
};

// A diagonal matrix in a layer: a diagonal item, or the part of a rotation before or after its R.
enum Part : uint8_t { kWhole, kBefore, kAfter };
struct Term {
    int32_t item;
    Part part;
};

struct Layer {
    int32_t term_begin, term_end;
};

// One pass over a tile: one item, two items that commute and are real, or a layer of phases.
enum Pass : uint8_t { kSingle, kDouble, kPhases };
struct Operation {
    Pass pass;
    uint8_t kind;           // of a single item's matrix
    int32_t first, second;  // items; of phases: layer, and its place among those of its sweep
    // Where the tile indices stand that belong together. Single: pairs (qubit at 0, at 1), in a
    // segment for each parity of the controls inside the tile. Double: quadruples (00, 01, 10, 11),
    // the first item's qubit last.
    uint32_t begin[5];
};

// Operations over tiles: cosets of 2^bits addresses, all of which lie in fast memory at once.
struct Sweep {
    int32_t begin, end;  // operations
    int32_t bits;
    uint64_t pivots;        // address bits that are zero in every tile's base
    uint32_t offset_begin;  // into Schedule::offsets: address = base ^ offset[j]
};

struct Schedule {
    std::vector<Sweep> sweeps;
    std::vector<Operation> operations;
    std::vector<Layer> layers;
    std::vector<Term> terms;
    std::vector<uint16_t> indices;
    std::vector<uint64_t> offsets;
    std::vector<uint8_t> rotation;  // for each item: its phases are in layers
    int most_layers = 0;            // in one sweep
};

Schedule make_schedule(const std::vector<Item>& items, int num_qubits,
                       const ScheduleRequest& request);

}  // namespace qsim
