// What a kernel set offers: each instruction set compiles kernels.cpp once and hands out one table
// a precision.
//
// States lie in blocks of W samples: amplitude p is re[W], im[W] at block + 2 * W * p. All
// functions work on one block.
#pragma once

#include <cstdint>

#include "../../plan/planner.hpp"

namespace qsim::cpu {

// Angles of one call. A stride of zero means that the batch shares them.
template <class T>
struct Angles {
    const T* data[2];   // by Source
    int64_t stride[2];  // from sample to sample
    int64_t batch;
};

// A Pauli string at the addresses of the final state: P|p> = i^num_y (-1)^(parity(z & p) ^ sign) |p
// ^ x>.
struct Pauli {
    uint64_t x, z;
    int32_t num_y, sign;
};

// A Program as plain arrays, with the matrices that the batch shares (8 numbers an item: re, im of
// 00, 01, 10, 11).
template <class T>
struct View {
    int num_qubits, num_sweeps;
    uint64_t start;  // address of |0...0>
    const Item* items;
    const Factor* factors;
    const Sweep* sweeps;
    const PairSpan* spans;
    const uint16_t* pairs;
    const uint64_t* offsets;
    Angles<T> angles;
    const T* shared;         // [items][8]
    const uint8_t* batched;  // [items]: the matrix differs from sample to sample
    const Pauli* paulis;
    int num_paulis;
};

// Where a backward pass leaves its sums; each is null if not wanted.
template <class T>
struct Gradients {
    int first_item;      // items before this one need no gradient
    double* generators;  // [items][4]: Im<lambda|P|psi> for P = I, X, Y, Z, of items that the batch
                         // shares
    double* shared[2];   // by Source, [size]: parameters that the batch shares, from items that it
                         // does not
    T* batched[2];       // by Source, [batch, size]
    int64_t size[2];
};

template <class T>
struct Kernels {
    // psi <- circuit |0>; scratch holds matrices and a tile.
    void (*forward)(const View<T>&, int64_t first_sample, T* psi, T* scratch);
    // values[sample, pauli] = <psi|P|psi>, for the samples that exist.
    void (*expval)(const View<T>&, int64_t first_sample, const T* psi, T* values);
    // lambda <- sum over paulis of cotangent[sample, pauli] P psi.
    void (*seed)(const View<T>&, int64_t first_sample, const T* psi, const T* cotangent, T* lambda);
    // Undo the circuit on psi and lambda, and sum up gradients. Both are overwritten.
    void (*backward)(const View<T>&, int64_t first_sample, T* psi, T* lambda, T* scratch,
                     const Gradients<T>&);
    int lanes;
};

// log2 of the amplitudes in a tile: one state's tile fills half of a small L1 cache at most.
constexpr int tile_bits(int bytes_per_real, int lanes) {
    int bits = 2;
    while (bits < 12 && (int64_t{4} << bits) * bytes_per_real * lanes <= 16384) ++bits;
    return bits;
}

// Reals of scratch that forward and backward want: matrices and sums of all items, a tile of two
// states.
inline int64_t scratch_size(int64_t num_items, int bytes_per_real, int lanes) {
    return num_items * 12 * lanes + (int64_t{4} * lanes << tile_bits(bytes_per_real, lanes));
}

// The kernels of one instruction set, for blocks of 1, 4, 8 and 16 samples.
struct InstructionSet {
    const char* name;
    Kernels<float> single_precision[4];
    Kernels<double> double_precision[4];
};

// One for each instruction set that the build has; kernels.cpp defines them.
extern const InstructionSet baseline, avx2, avx512;

}  // namespace qsim::cpu
