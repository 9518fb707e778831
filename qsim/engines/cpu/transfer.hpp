// Exact noise: density matrices in the Pauli basis, where every gate and channel is a real matrix.
//
// rho = 2^-n sum_P r_P P with r_P = <P>. Component p of r has two bits for each qubit, from the
// lowest on: I, X, Y, Z = 0, 1, 2, 3. A block holds r of S samples, S a power of two up to the
// lanes of a vector: component p of sample s at p * S + s.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels.hpp"

namespace qsim::cpu {

// Rows X, Y, Z of a map on one qubit; row I is always (1, 0, 0, 0), because no trace is lost.
template <class V>
using Rows = std::array<V, 12>;

// The map constant + cos(angle) * cosine + sin(angle) * sine on one qubit.
struct TransferFactor {
    Angle angle;
    Rows<double> constant, cosine, sine;
};

// A part of a gate or channel on its own qubits: such a map where it has a parameter, or a constant
// matrix [4^k, 4^k] on any number of qubits.
struct TransferPart {
    std::vector<int32_t> qubits;
    int32_t param;
    double scale, offset;
    std::vector<double> constant, cosine, sine;
};

struct TransferGate {
    int32_t num_qubits, num_params;
    std::vector<TransferPart> parts;
};

// to[k] = weight[k] * from[source[k]] over the 16 components of two qubits.
struct WeightedMove {
    std::array<int32_t, 16> source{};
    std::array<double, 16> weight{};
};

enum TransferKind : int32_t {
    kOneQubit,  // factors begin to end, the first one first
    kMove,      // two qubits: Clifford gates and Pauli channels
    kMatrix     // two qubits or more
};

struct TransferStep {
    TransferKind kind;
    std::vector<int32_t> qubits;
    int32_t factor_begin, factor_end;
    std::vector<double> matrix, transposed;  // kMatrix
    WeightedMove move, back;                 // kMove, and its transpose
};

// A circuit of gates and channels as few steps: neighbours on the same qubits are one.
class TransferProgram {
  public:
    // Gates in order, then qubits and angles of all of them one after another.
    TransferProgram(int num_qubits, const std::vector<const TransferGate*>& gates,
                    const std::vector<int32_t>& qubits, const std::vector<Angle>& angles);

    int num_qubits;
    int num_weights = 0, num_inputs = 0;  // sizes the circuit reads
    std::vector<TransferStep> steps;
    std::vector<TransferFactor> factors;
};

// What kernels see of a run.
template <class T>
struct TransferView {
    int num_qubits, sample_bits;
    int num_steps;
    const TransferStep* steps;
    const TransferFactor* factors;
    Angles<T> angles;
    const int32_t* own;  // [steps]: place among the maps that differ from sample to sample, or -1
    const T* shared;     // [steps][12]: the maps of the others

    int64_t samples() const { return int64_t{1} << sample_bits; }
    int64_t size() const { return int64_t{1} << (2 * num_qubits + sample_bits); }
};

template <class T>
struct TransferKernels {
    // Maps that differ from sample to sample, [own][12][W].
    void (*maps)(const TransferView<T>&, int64_t first_sample, T* own);
    // A step, or its transpose. Positions begin to end count the components that are left when the
    // step's qubits are taken out, times S; `to` may be `from`.
    void (*apply)(const TransferView<T>&, int step, bool transpose, const T* own, int64_t begin,
                  int64_t end, const T* from, T* to);
    // The transpose of a one-qubit step on lambda; sums [12][W] of lambda times what the step was
    // given grow.
    void (*differentiate)(const TransferView<T>&, int step, const T* own, int64_t begin,
                          int64_t end, const T* given, T* lambda, T* sums);
    // From the sums of a one-qubit step, which are overwritten, to gradients: if the batch shares
    // its map, row `place` of generators [..., 12] grows, else shared and batched do.
    void (*gradients)(const TransferView<T>&, int step, int64_t place, int64_t first_sample,
                      T* sums, const Gradients<T>& out);
};

// One call's tensors; see Call.
template <class T>
struct TransferCall {
    const TransferProgram& program;
    Angles<T> angles;
    int64_t size[2];  // length of a row
    int threads;
    const T* initial;  // [batch, 4^n]; null: |0...0>
};

// A call and its numbers, from forward to backward; program and tensors stay where they are.
template <class T>
class TransferRun {
  public:
    explicit TransferRun(const TransferCall<T>& call);
    ~TransferRun();

    // Bytes that forward, or backward for these sources, holds at a time.
    int64_t forward_bytes() const;
    int64_t backward_bytes(bool weights, bool inputs) const;
    // values [batch, components] of r.
    void forward(const std::vector<int64_t>& components, T* values) const;
    // Gradients of weights, inputs and initial states; null where not wanted.
    void backward(const std::vector<int64_t>& components, const T* cotangent, T* const wanted[2],
                  T* initial) const;

  private:
    struct Implementation;
    std::unique_ptr<const Implementation> run_;
};

}  // namespace qsim::cpu
