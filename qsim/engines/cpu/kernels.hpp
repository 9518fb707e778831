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

// A Program and its Schedule as plain arrays, with the numbers that the batch shares.
template <class T>
struct View {
    int num_qubits, num_items, num_sweeps, most_layers;
    const Item* items;
    const Factor* factors;
    const Sweep* sweeps;
    const Operation* operations;
    const Layer* layers;
    const Term* terms;
    const uint16_t* indices;
    const uint64_t* offsets;
    Angles<T> angles;
    const T* shared;         // [items][8]: matrices, re and im of 00, 01, 10, 11
    const uint8_t* batched;  // [items]: the matrix differs from sample to sample
    const T* phases;         // [layers][2^n]: re, im
    const Pauli* paulis;
    int num_paulis;
};

// Where a backward pass leaves its sums; each is null if not wanted.
template <class T>
struct Gradients {
    int first;           // operations before this one need no gradient
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
    // table <- exp(i WHT(coefficients)): a layer's phases from its angles' Walsh-Hadamard
    // coefficients [2^n], which are overwritten.
    void (*phases)(int num_qubits, double* coefficients, T* table);
    int lanes;
};

// log2 of the amplitudes in a tile: two states share an L1 cache, or nearly.
constexpr int kMostTileBits = 10;
constexpr int tile_bits(int bytes_per_real, int lanes) {
    int bits = 2;
    while (bits < kMostTileBits && (int64_t{4} << bits) * bytes_per_real * lanes <= 32768) ++bits;
    return bits;
}

// Reals of scratch that forward and backward want: matrices and sums of all items, and sums over
// the samples for each amplitude and layer of a sweep.
template <class T>
int64_t scratch_size(const View<T>& view, int lanes) {
    return int64_t{12} * lanes * view.num_items +
           (static_cast<int64_t>(view.most_layers) << view.num_qubits);
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
