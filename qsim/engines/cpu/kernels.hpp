// What a kernel set offers: each instruction set compiles kernels.cpp once and hands out one table
// a precision.
//
// States lie in blocks of vectors: vector v is re[W], im[W] at block + 2 * W * v. A lane is one of
// 2^lane_bits amplitudes of one of the block's samples: lane = sample << lane_bits | lowest bits of
// the address, and v is the rest of it. Small states have samples in their lanes, large ones
// amplitudes.
#pragma once

#include <cstdint>

#include "../../plan/planner.hpp"

namespace qsim::cpu {

// Lanes of a vector: a cache line of reals.
template <class T>
constexpr int kLanes = 64 / static_cast<int>(sizeof(T));
template <class T>
constexpr int kMostLaneBits = sizeof(T) == 4 ? 4 : 3;

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
    uint64_t z;
    int32_t num_y, sign;
    int64_t column;  // among the results
};

// Strings with the same x: read in one pass.
struct PauliGroup {
    uint64_t x;
    int64_t begin, end;
};

// A Program and its Schedule as plain arrays, with the numbers that the batch shares.
template <class T>
struct View {
    int num_qubits, lane_bits, num_items;
    const Item* items;
    const Control* controls;
    const Factor* factors;
    const Dense* dense;
    const Sweep* sweeps;
    const Operation* operations;
    const Segment* segments;
    const Layer* layers;
    const Term* terms;
    const uint16_t* indices;
    const uint16_t* masks;
    const uint64_t* offsets;
    const uint64_t* vectors;
    const int32_t* product;  // [num_qubits]: see Schedule; null if there is none
    Angles<T> angles;
    const uint8_t* batched;  // [items]: the matrix differs from sample to sample
    const int32_t* tail;     // [items]: from this factor on the batch shares all of them
    const T* shared;         // [items][8]: product of these, re and im of 00, 01, 10, 11
    const uint8_t* divided;  // [items]: a rotation or dense matrix divided by its cosine
    const T* undone;         // [items]: what makes up for the cosines in the item's sums
    const T* phases;         // [layers]: see phase_table
    const PauliGroup* groups;
    int64_t num_groups;
    const Pauli* paulis;
    int most_targets;  // qubits of the largest fixed matrix

    int64_t num_vectors() const { return int64_t{1} << (num_qubits - lane_bits); }
    // Reals of a layer's table: (re, im) of each vector if its lanes share them, else re[W], im[W].
    int64_t phase_table() const {
        return lane_bits ? 2 * kLanes<T> * num_vectors() : 2 * num_vectors();
    }
    // Samples in a vector.
    int samples() const { return kLanes<T> >> lane_bits; }
    // Reals that forward and backward need beside the state.
    int64_t scratch() const { return most_targets ? int64_t{4} * kLanes<T> << most_targets : 0; }
};

// Where a backward pass leaves its sums; each is null if not wanted.
template <class T>
struct Gradients {
    double* generators;  // [items][4]: Im<lambda|P|psi> for P = I, X, Y, Z
    double* shared[2];   // by Source, [size]: parameters that the batch shares, from factors before
                         // an item's tail
    T* batched[2];       // by Source, [batch, size]
    int64_t size[2];
};

// Loops of noise: see transfer.hpp and trajectories.hpp.
template <class T>
struct TransferKernels;
template <class T>
struct TrajectoryKernels;

template <class T>
struct Kernels {
    // Matrices of the items that differ from sample to sample, [items][8][W].
    void (*matrices)(const View<T>&, int64_t first_sample, T* own);
    // The vectors of a stage's coset at `place`, from the state to a buffer and back.
    void (*gather)(const View<T>&, const Stage&, uint64_t place, const T* state, T* buffer);
    void (*scatter)(const View<T>&, const Stage&, uint64_t place, const T* buffer, T* state);
    // Vectors begin to end of the product state that a run starts from.
    void (*product_start)(const View<T>&, const T* own, int64_t begin, int64_t end, T* psi);
    // Contractions of conj(lambda) with it: chunks [chunk] and within [vector of a chunk], of
    // re[W], im[W]; the latter grow.
    void (*product_contract)(const View<T>&, const T* own, int64_t begin, int64_t end,
                             const T* lambda, T* chunks, T* within);
    // From these, which are overwritten, to the sums of the product's items; scratch is as large as
    // the larger of both.
    void (*product_sums)(const View<T>&, const T* own, T* chunks, T* within, T* scratch, T* sums);
    // Run a stage on such a buffer.
    void (*forward)(const View<T>&, const Stage&, uint64_t place, const T* own, T* psi, T* scratch);
    // Undo a stage, but for the first `first` operations, and add to sums: [items][4][W] of
    // Im<lambda|P|psi>, and of layers [place of the layer][2^n].
    void (*backward)(const View<T>&, const Stage&, uint64_t place, const T* own, int first, T* psi,
                     T* lambda, T* sums, T* phase_sums, T* scratch);
    // From the sums to the gradients that differ from sample to sample, and to generators.
    void (*gradients)(const View<T>&, int64_t first_sample, const T* sums, const Gradients<T>&);
    // From a layer's sums to those of I and Z of its items, times a weight; the sums are
    // overwritten.
    void (*phase_gradients)(const View<T>&, const Layer&, double weight, T* sums,
                            double* generators);
    // totals[pauli][W] += <psi|P|psi> from vectors begin to end.
    void (*expval)(const View<T>&, int64_t begin, int64_t end, const T* psi, double* totals);
    // Vectors begin to end of lambda = sum over paulis of weights[pauli][W] P psi.
    void (*seed)(const View<T>&, int64_t begin, int64_t end, const T* psi, const T* weights,
                 T* lambda);
    // table <- scale exp(i WHT(coefficients)): a layer's phases from its angles' Walsh-Hadamard
    // coefficients [2^n], which are overwritten.
    void (*phases)(const View<T>&, double* coefficients, double scale, T* table);
    const TransferKernels<T>* transfer;
    const TrajectoryKernels<T>* trajectories;
};

// Vectors that expval and seed work on at once: begin and end are multiples of it, or the end.
constexpr int kChunkBits = 7;

constexpr int kMostTileBits = 10;

// The kernels of one instruction set.
struct InstructionSet {
    const char* name;
    Kernels<float> single_precision;
    Kernels<double> double_precision;
};

// One for each instruction set that the build has; kernels.cpp defines them.
extern const InstructionSet baseline, avx2, avx512;

}  // namespace qsim::cpu
