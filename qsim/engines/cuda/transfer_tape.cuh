// Exact noise as kernels read it: steps of cpu::TransferProgram in groups, stages and one piece of
// memory, as tape.cuh has it for pure states.
//
// Density matrices in the Pauli basis: component p of a sample has two bits, a digit, for each
// qubit, from the lowest on: I, X, Y, Z = 0, 1, 2, 3.
#pragma once

#include "tape.cuh"

namespace qsim::cuda {

// A block holds 4^kTileDigits components in shared memory, a thread 4^kGroupDigits in registers.
template <class T>
constexpr int kTileDigits = sizeof(T) == 4 ? 7 : 6;
constexpr int kMostTileDigits = 7;
constexpr int kGroupDigits = 2, kGroupComponents = 16;
// Tiles of larger matrices hold their lowest digits: runs of whole cache sectors.
constexpr int kRunDigits = 2;
// Maps on one qubit that a block holds at a time, each as rows X, Y, Z of four numbers.
constexpr int kBatchMaps = 32, kMapEntries = 12;

// Shared memory of a block that runs a stage: the tile; the maps of a batch; the halves of places;
// and sums of the warps, if there are any.
inline u64 transfer_bytes(int digits, int real, int warps) {
    const u64 maps = u64(real) * kMapEntries * kBatchMaps, halves = 2 * sizeof(u64)
                                                                    << kMostTileDigits;
    return (u64(real) << 2 * digits) + maps * (1 + warps) + halves;
}

// Rows of 32 numbers are stored in other orders, so that threads that stand 16 apart meet different
// banks. Linear over GF(2).
constexpr u32 bank_swizzle(u32 place) { return place ^ (place >> 4 & 31); }

// constant + cos(angle) cosine + sin(angle) sine, at the angle scale * source[index] + offset.
struct TransferFactor {
    int source, index;  // source: -1 none, 0 weights, 1 inputs
    double scale, offset;
    double constant[kMapEntries], cosine[kMapEntries], sine[kMapEntries];
};

// A map on one digit of the group, a weighted permutation of the components of both, or a matrix on
// them or, in a stage of its own, on all digits of the stage.
enum TransferKind : int { kMapAct, kMoveAct, kSquareAct };
struct TransferAct {
    int kind;
    int digit;                     // of a map: which of the group's
    int factor_begin, factor_end;  // of a map, the first one first
    int map;                       // of a map: its number
    int depends;                   // bit `source` is set if a factor reads it
    int record;                    // where the stage keeps what the map is given, or -1
    u32 entries;                   // of a move: its number; of a matrix: its first entry
};

// to[k] = weight[k] * from[source[k]]; the sources are a permutation.
template <class T>
struct TransferMove {
    int source[kGroupComponents];
    T weight[kGroupComponents];
};

// Acts on cells of 16 components, which have these bits of a place in the tile.
struct TransferGroup {
    int act_begin, act_end;
    int bits[2 * kGroupDigits];  // ascending
};

struct TransferBatch {
    int group_begin, group_end;
    int map_begin, map_end;
};

// Batches over tiles, or a matrix that no group holds: then it has one act and no batches.
struct TransferStage {
    int batch_begin, batch_end;
    int digits;                   // of a tile, or of the matrix
    int matrix;                   // its act, or -1
    int qubits[kMostTileDigits];  // of the tile, ascending; of a matrix, its first digit first
};

// Sections in bytes from the beginning.
struct TransferTape {
    int num_qubits, digits;  // digits of a component's number: at least kGroupDigits
    int num_maps, num_stages;
    int num_parameters[2];
    u32 stages, batches, groups, acts, maps, factors, moves, entries, uses;
    u32 use_begins[2];  // by source: [num_parameters + 1]

    template <class Entry>
    const Entry* section(u32 at) const {
        return reinterpret_cast<const Entry*>(reinterpret_cast<const char*>(this) + at);
    }
};

// A component that is read; those of the same place stand together.
struct Reading {
    u64 place;
    int column, unused;
};

// What a kernel is launched with; transfer.cu says who reads what. Matrices are components
// [batch, 4^digits], unless told otherwise.
struct TransferArguments {
    const TransferTape* tape;
    const void* sources[2];  // weights, inputs
    const void* begin;       // [batch, 4^n] to start from, or null
    const void* from;
    void* to;
    void* lambda;
    const Reading* readings;
    const void* cotangent;  // [batch, readings]
    void* values;           // [batch, readings]
    void* records;          // what maps are given: [records of the stage, batch, 4^digits]
    void* sums;             // of lambda times what maps are given: [batch, parts, maps, 12]
    void* gradients[2];     // like sources
    long long strides[2];   // of sources, from sample to sample: 0 if the batch shares a row
    long long num_readings;
    int batch, parts;
    int stage;
    int wanted;  // bit `source` is set if its gradient is; of a matrix: whether it is transposed
};

}  // namespace qsim::cuda
