// Circuit -> Program: gates become 2x2 matrices, with controls, on pairs of amplitudes.
//
// X, CX and SWAP never touch memory. They only change how a logical basis state x is stored:
// amplitude x lies at address p = A x ^ b over GF(2). A one-qubit gate on qubit q then pairs the
// addresses p and p ^ m with m = A e_q, and the qubit's value at address p is parity(r & p) ^ f
// with r = row q of A^-1 and f = parity(r & b).
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "schedule.hpp"

namespace qsim {

using Matrix = std::array<Complex, 4>;  // row-major 2x2

// U(t) = sum_k projectors[k] exp(i frequencies[k] t); a fixed gate is projectors[0].
struct Elementary {
    std::array<double, 2> frequencies;
    std::array<Matrix, 2> projectors;
    bool diagonal, real;
};

enum StepKind : int32_t { kX, kCX, kSwap, kFactor, kMatrix, kChannel };

// One step of a gate's lowering. Qubits are the gate's own: controls, then the target; those of a
// matrix from its lowest bit on. A fixed matrix stands in for an elementary gate (-1). A channel
// has all its Kraus operators in `matrix`, and the least probability of each, whatever the state;
// the channel steps of one gate choose the same number.
struct Step {
    int32_t kind, elementary, param;
    double scale, offset;
    std::vector<int32_t> qubits;
    std::vector<Complex> matrix;
    std::vector<double> least;
};

struct LoweredGate {
    int32_t num_qubits, num_params;
    std::vector<Step> steps;
};

struct GateTable {
    std::vector<Elementary> elementary;
    std::vector<LoweredGate> gates;
};

// The angle scale * source[index] + offset.
enum Source : int32_t { kConstant = -1, kWeight = 0, kInput = 1 };
struct Angle {
    int32_t source, index;
    double scale, offset;
};

// A channel, of which each trajectory takes one Kraus operator: sqrt(weight) times an operator
// whose mean square is 1.
struct Choice {
    int32_t draw;    // choices of one draw are made together
    size_t entries;  // of an operator
    std::vector<Complex> operators;
    std::vector<double> weights, least;
};

// One 2x2 matrix of a fused product: fixed (angle.source == kConstant: projectors[0]), exp(i K
// angle), or chosen.
struct Factor {
    Angle angle;
    double frequencies[2];
    Complex projectors[2][4];
    int32_t choice = -1;
};

class Program {
  public:
    // Flat circuit: gate ids, then qubits and angles of all gates one after another. Ids beyond the
    // table are those of `own`, the circuit's own gates.
    Program(const GateTable& table, const std::vector<LoweredGate>& own, int num_qubits,
            const std::vector<int32_t>& gates, const std::vector<int32_t>& qubits,
            const std::vector<Angle>& angles);

    // How to run it; made once for each request, then kept.
    const Schedule& schedule(const ScheduleRequest& request) const;

    int num_qubits;
    int num_weights = 0, num_inputs = 0;  // sizes the circuit reads
    std::vector<Item> items;
    std::vector<Factor> factors;
    std::vector<Control> controls;
    std::vector<Dense> dense;
    std::vector<Choice> choices;
    int num_draws = 0;
    std::vector<uint64_t> columns, rows;  // of A and A^-1 at the end
    uint64_t offset = 0;                  // b at the end

  private:
    mutable std::mutex mutex_;
    mutable std::map<ScheduleRequest, std::unique_ptr<Schedule>> schedules_;
};

}  // namespace qsim
