// Runs programs over batches: chooses kernels, spreads work over threads, adds up gradients in a
// fixed order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels.hpp"

namespace qsim::cpu {

// One call's tensors, contiguous. A source is shared if its data has no batch dimension.
template <class T>
struct Call {
    const Program& program;
    const T* data[2];  // weights, inputs
    bool batched[2];
    int64_t size[2];  // length of a row
    int64_t batch;
    int threads;
    const T* initial;  // states to start from, [batch, 2^n] of (re, im); null: |0...0>
};

// Pauli strings at the addresses of a program's final state, in groups that flip the same qubits.
struct Measurement {
    std::vector<PauliGroup> groups;
    std::vector<Pauli> paulis;
};

// Names of the instruction sets that this processor runs, best first.
std::vector<std::string> instruction_sets();
// Use this one from now on (the best one at first).
void use_instruction_set(const std::string& name);

// Sizes that caches set; vectors take 128 bytes. One aligned word, so that threads read it whole.
struct alignas(8) Limits {
    int8_t tile_bits = 8;       // of psi and lambda: nearly an inner cache
    int8_t stage_bits = 12;     // of psi and lambda: an outer cache
    int8_t cached_bits = 17;    // larger states leave all caches: then stages read rows of vectors
    int8_t sample_qubits = 11;  // larger blocks of samples leave it: then lanes are amplitudes
    int8_t layer_qubits = 14;   // a table of phases has 2^n entries: no larger than a cache
};
Limits current_limits();
// For tests and measurements; not while a result still waits for its backward pass.
void use_limits(const Limits& limits);

// The kernels of the instruction set in use.
template <class T>
const Kernels<T>& kernels_for();

// How many bits of an address are lanes: see kernels.hpp.
template <class T>
int lane_bits_for(int num_qubits, int64_t batch);

// Reals that the final states of a batch take in block layout.
template <class T>
int64_t state_size(const Program& program, int64_t batch);

// What a forward pass writes; null where not wanted.
template <class T>
struct Results {
    T* values;  // expectation values, [batch, paulis]
    T* states;  // final states in logical order, [batch, 2^n] of (re, im)
    T* psi;     // final states in block layout, for the backward pass
};

// What the batch shares of a call, worked out for forward and kept for backward. The program, the
// measurement and the tensors of the call stay where they are meanwhile.
template <class T>
class Prepared;

template <class T>
std::shared_ptr<const Prepared<T>> prepare(const Call<T>& call, const Measurement& measurement);

template <class T>
void forward(const Prepared<T>& run, const Results<T>& results);

// What the loss's gradient comes in by: cotangents of expectation values [batch, paulis], or of
// states [batch, 2^n] (re, im).
template <class T>
struct Cotangent {
    const T* values;
    const T* states;
};

// Gradients in the shape of what they belong to; null where not wanted.
template <class T>
struct Wanted {
    T* sources[2];  // weights, inputs
    T* initial;
};

// Needs the psi of forward.
template <class T>
void backward(const Prepared<T>& run, const T* psi, const Cotangent<T>& cotangent,
              const Wanted<T>& wanted);

}  // namespace qsim::cpu
