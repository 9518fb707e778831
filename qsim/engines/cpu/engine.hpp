// Runs programs over batches: chooses kernels, spreads blocks over threads, adds up gradients in a
// fixed order.
#pragma once

#include <cstdint>
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
};

// Names of the instruction sets that this processor runs, best first.
std::vector<std::string> instruction_sets();
// Use this one from now on (the best one at first).
void use_instruction_set(const std::string& name);

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

template <class T>
void forward(const Call<T>& call, const std::vector<Pauli>& paulis, const Results<T>& results);

// What the loss's gradient comes in by: cotangents of expectation values [batch, paulis], or of
// states [batch, 2^n] (re, im).
template <class T>
struct Cotangent {
    const std::vector<Pauli>& paulis;
    const T* values;
    const T* states;
};

// Gradients of weights and inputs, in the shape these have; null where not wanted. Needs the psi of
// forward.
template <class T>
void backward(const Call<T>& call, const T* psi, const Cotangent<T>& cotangent,
              T* const gradients[2]);

}  // namespace qsim::cpu
