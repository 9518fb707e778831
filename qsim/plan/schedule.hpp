// Program -> Schedule: the items in stages over memory and sweeps over tiles, with phases pulled
// out of dense gates.
//
// Amplitudes stand in vectors: the lowest lane_bits of an address are lanes of a vector, the rest
// is the vector's place. A stage brings cosets of 2^bits vectors into a buffer that fits the outer
// cache and runs as many operations there as its subspace allows; inside the buffer, sweeps do the
// same for tiles that fit the inner cache. A state that fits the outer cache is one stage, in
// place.
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

#include "item.hpp"

namespace qsim {

class Program;

// What a schedule is made for.
struct ScheduleRequest {
    int lane_bits;
    int tile_bits, stage_bits;  // tiles and buffers have at most 2^bits vectors; tile_bits <= 10
    int row_bits;               // a buffer's vectors stand in rows of at least 2^bits in memory
    bool layers;                // gather phases
    bool product;               // |0...0> is what the first gates meet
    uint8_t batched;            // bit `Source` set if samples differ in it
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

// One pass over a tile: a layer of phases; a diagonal item, vector by vector; an item on pairs of
// vectors, or on pairs of lanes of one vector; two items on quadruples; a matrix on more qubits.
enum Pass : uint8_t { kPhases, kSolos, kPairs, kWithin, kQuads, kCosets };

struct Operation {
    Pass pass;
    uint8_t kind;           // of the matrices
    int32_t first, second;  // items; of phases: layer, and its place among those of its stage; of a
                            // matrix: item, and where its masks begin in Schedule::masks
    uint16_t mask[2];       // of the items, in tile coordinates
    int32_t segment_begin, segment_end;
};

// Tile indices of one coset representative each, all with the same values of the item's qubit (bit
// 0; of a quadruple's second item: bit 1) and controls (from bit 1 on), but for what the tile's
// place and the lanes add. From a representative the others are reached by the masks.
struct Segment {
    uint32_t key, begin, end;
};

// Operations over tiles: cosets of 2^bits vectors of the buffer.
struct Sweep {
    int32_t begin, end;  // operations
    int32_t bits;
    uint64_t pivots;        // bits of a place that are zero in every tile's base
    uint32_t offset_begin;  // into Schedule::offsets: place = base ^ offset[j]
};

// Sweeps over buffers: cosets of 2^bits vectors of the state, spanned by Schedule::vectors from
// vector_begin on.
struct Stage {
    int32_t begin, end;  // sweeps
    int32_t bits;
    uint64_t pivots;
    uint32_t vector_begin;
};

struct Schedule {
    std::vector<Stage> stages;
    std::vector<Sweep> sweeps;
    std::vector<Operation> operations;
    std::vector<Segment> segments;
    std::vector<Layer> layers;
    std::vector<Term> terms;
    std::vector<uint16_t> indices;
    std::vector<uint16_t> masks;    // of matrices, in addresses of the tile, lanes lowest
    std::vector<uint64_t> offsets;  // of tiles
    std::vector<uint64_t> vectors;  // of stages
    std::vector<uint8_t> rotation;  // for each item: its phases are in layers
    int most_layers = 0;            // in one stage
    int most_stage_bits = 0;
    // For each qubit the item, or -1, that turns its |0> before anything else happens to it: these
    // make a product state and are no operations. Empty if there is none.
    std::vector<int32_t> product;
};

Schedule make_schedule(const Program& program, const ScheduleRequest& request);

}  // namespace qsim
