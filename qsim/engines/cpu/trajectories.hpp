// Noise by trajectories: each shot takes one Kraus operator K of every channel, chosen with its
// probability <psi|K+K|psi>, and stays a pure state.
//
// A lane is a trajectory, so a block holds W of them: address p of lane l at 2 * W * p + l (re) and
// W further (im). Trajectories are not normalised: every operator is divided by a number that is no
// part of the derivative, and whoever reads divides by <psi|psi>.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine.hpp"
#include "kernels.hpp"

namespace qsim::cpu {

// Where an item acts: representatives have no pivot bits and all its qubits at 0 once moved there;
// from a representative, entry i of a matrix is reached by offsets[i].
struct Place {
    uint64_t pivots = 0;
    std::vector<uint64_t> masks, rows, offsets;
    uint32_t flips = 0;
    std::vector<Control> controls;  // has an effect where all are 1

    size_t size() const { return offsets.size(); }

    // Offsets and pivots, by the masks.
    void span();
};

// Matrices are [rows][columns][re, im], of lanes [W] each, or of single numbers that lanes share.
template <class T>
struct TrajectoryKernels {
    // Lanes [4][2][W] of a factor with an angle, or a constant one.
    void (*factor)(const View<T>&, const Factor& factor, int64_t first_sample, T* lanes);
    // product <- second * product, both lanes of 2x2 matrices; `second` first: product * second.
    void (*multiply)(const T* second, bool first, T* product);
    // to <- the matrix, or its adjoint, on all vectors.
    void (*apply)(const View<T>&, const Place& place, bool lanes, bool adjoint, const T* matrix,
                  const T* from, T* to);
    // Two matrices of lanes, on the first and the second qubit of a place of both, at once.
    void (*apply_two)(const View<T>&, const Place& both, const T* first, const T* second, T* psi);
    // sums[i][j] = sum of a_i conj(b_j) over the place's cosets, lanes.
    void (*contract)(const View<T>&, const Place& place, const T* a, const T* b, T* sums);
    // A factor's derivative from sums [psi_i conj(lambda_j)] behind it, multiplied by what came
    // after, and the product up to it; to shared and batched.
    void (*gradient)(const View<T>&, const Factor& factor, int64_t first_sample, const T* product,
                     const T* sums, const Gradients<T>& out);
    // sums[run] += |psi|^2 over runs of so many addresses, lanes.
    void (*squares)(const View<T>&, const T* psi, int64_t length, double* sums);
};

// What a trajectory takes its choices by: uniform numbers from [0, 1), each a function of what it
// is for (splitmix64: Steele, Lea and Flood, OOPSLA 2014).
class Numbers {
  public:
    Numbers() = default;
    Numbers(uint64_t seed, int64_t trajectory)
        : own_(mixed(seed + kStep * static_cast<uint64_t>(trajectory + 1))) {}

    double at(int64_t draw) const {
        return static_cast<double>(mixed(own_ + kStep * static_cast<uint64_t>(draw + 1)) >> 11) *
               0x1p-53;
    }

  private:
    static constexpr uint64_t kStep = 0x9e3779b97f4a7c15;

    static uint64_t mixed(uint64_t z) {
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }

    uint64_t own_ = 0;
};

// One call. Rows are trajectories: row r is number r % trajectories of sample r / trajectories.
template <class T>
struct TrajectoryCall {
    const Program& program;
    const Measurement& measurement;
    Angles<T> angles;  // their batch: rows
    int64_t size[2];   // length of a row of angles
    int threads;
    const T* initial;        // [samples or 1, 2^n] of (re, im); null: |0...0>
    int64_t initial_stride;  // from sample to sample
    const uint64_t* seeds;   // of the first num_seeds samples, then from the first one on again
    int64_t num_seeds, trajectories;

    Numbers numbers(int64_t row) const {
        return {seeds[row / trajectories % num_seeds], row % trajectories};
    }
};

template <class T>
class TrajectoryRun {
  public:
    explicit TrajectoryRun(const TrajectoryCall<T>& call);
    ~TrajectoryRun();

    // Bytes that forward and samples, or backward for these sources, hold at a time.
    int64_t forward_bytes() const;
    int64_t backward_bytes(bool weights, bool inputs) const;
    // values [rows, paulis] of <psi|P|psi>.
    void forward(T* values) const;
    // A basis state of each trajectory, by the draw after the channels': [rows].
    void samples(int64_t* states) const;
    // Gradients of weights and inputs, with the choices held fixed; null where not wanted.
    void backward(const T* cotangent, T* const wanted[2]) const;

  private:
    struct Implementation;
    std::unique_ptr<const Implementation> run_;
};

}  // namespace qsim::cpu
