#include "planner.hpp"

#include <algorithm>
#include <cmath>

namespace qsim {

namespace {

Matrix multiply(const Matrix& a, const Matrix& b) {
    return {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2],
            a[2] * b[1] + a[3] * b[3]};
}

Matrix matrix_of(const Factor& factor) {
    return {factor.projectors[0][0], factor.projectors[0][1], factor.projectors[0][2],
            factor.projectors[0][3]};
}

void set_matrix(Factor& factor, const Matrix& matrix) {
    std::copy(matrix.begin(), matrix.end(), factor.projectors[0]);
}

Matrix evaluate(const Elementary& gate, double angle) {
    Matrix sum{};
    for (int k = 0; k < 2; ++k) {
        const Complex phase = std::polar(1.0, gate.frequencies[k] * angle);
        for (int e = 0; e < 4; ++e) sum[e] += gate.projectors[k][e] * phase;
    }
    return sum;
}

bool is_diagonal(const Matrix& m) { return m[1] == 0.0 && m[2] == 0.0; }
bool is_real(const Matrix& m) {
    return std::all_of(m.begin(), m.end(), [](Complex z) { return z.imag() == 0.0; });
}

// Kraus operators, all of them one after another.
Choice make_choice(const Step& step, int32_t draw) {
    const size_t number = step.least.size(), entries = step.matrix.size() / number;
    Choice choice{draw, entries, step.matrix, {}, step.least};
    const double side = std::sqrt(static_cast<double>(entries));
    for (size_t k = 0; k < number; ++k) {
        double weight = 0;
        for (size_t e = 0; e < entries; ++e)
            weight += std::norm(step.matrix[k * entries + e]) / side;
        for (size_t e = 0; e < entries; ++e) choice.operators[k * entries + e] /= std::sqrt(weight);
        choice.weights.push_back(weight);
    }
    return choice;
}

}  // namespace

// Gates that wait on a qubit until something else touches it.
struct FusedFactors {
    std::vector<Factor> factors;
    bool diagonal = true, real = true;
    uint8_t depends = 0;

    void add(const Elementary& gate, const Angle& angle) {
        Factor factor{angle, {0, 0}, {}, -1};
        if (angle.source == kConstant) {
            const Matrix fixed = evaluate(gate, angle.offset);
            diagonal = diagonal && is_diagonal(fixed);
            real = real && is_real(fixed);
            if (!factors.empty() && factors.back().angle.source == kConstant &&
                factors.back().choice < 0) {
                set_matrix(factors.back(), multiply(fixed, matrix_of(factors.back())));
                return;
            }
            set_matrix(factor, fixed);
        } else {
            diagonal = diagonal && gate.diagonal;
            real = real && gate.real;
            depends |= static_cast<uint8_t>(1 << angle.source);
            for (int k = 0; k < 2; ++k) {
                factor.frequencies[k] = gate.frequencies[k];
                std::copy(gate.projectors[k].begin(), gate.projectors[k].end(),
                          factor.projectors[k]);
            }
        }
        factors.push_back(factor);
    }

    void add_choice(int32_t choice) {
        factors.push_back({{kConstant, 0, 0, 0}, {0, 0}, {}, choice});
        diagonal = real = false;
    }

    uint8_t kind() const { return diagonal ? kDiagonal : real ? kReal : kDense; }
};

class Planner {
  public:
    Planner(Program& program, const GateTable& table)
        : program_(program), table_(table), pending_(program.num_qubits) {
        for (int q = 0; q < program.num_qubits; ++q) {
            program.columns.push_back(uint64_t{1} << q);
            program.rows.push_back(uint64_t{1} << q);
        }
    }

    void add(const LoweredGate& gate, const int32_t* qubits, const Angle* angles) {
        bool draws = false;
        for (const Step& step : gate.steps) {
            std::vector<int> where;
            for (int32_t q : step.qubits) where.push_back(qubits[q]);
            const int target = where.back();
            switch (step.kind) {
                case kX:
                    flip(target);
                    break;
                case kCX:
                    controlled_flip(where[0], target);
                    break;
                case kSwap:
                    exchange(where[0], target);
                    break;
                case kMatrix:
                    matrix(kMatrixItem, where, step.matrix, -1);
                    break;
                case kChannel:
                    channel(step, where);
                    draws = true;
                    break;
                default:
                    factor(step, where, angles);
            }
        }
        program_.num_draws += draws;
    }

    void finish() {
        for (int q = 0; q < program_.num_qubits; ++q) flush(q);
    }

  private:
    void flip(int q) {
        FusedFactors& pending = pending_[q];
        if (!pending.factors.empty() && !pending.diagonal) {  // no item of its own
            pending.add({{0, 0}, {{0, 1, 1, 0}}, false, true}, {kConstant, 0, 0, 0});
            return;
        }
        flush(q);
        program_.offset ^= program_.columns[q];
    }

    void controlled_flip(int control, int target) {
        flush(control);
        flush(target);
        program_.columns[control] ^= program_.columns[target];
        program_.rows[target] ^= program_.rows[control];
    }

    void exchange(int a, int b) {
        for (int q : {a, b}) close_controlled_on(q);
        std::swap(program_.columns[a], program_.columns[b]);
        std::swap(program_.rows[a], program_.rows[b]);
        std::swap(pending_[a], pending_[b]);
    }

    void factor(const Step& step, const std::vector<int>& where, const Angle* angles) {
        Elementary own{};
        if (step.elementary < 0)
            std::copy(step.matrix.begin(), step.matrix.end(), own.projectors[0].begin());
        const Elementary& gate = step.elementary < 0 ? own : table_.elementary[step.elementary];
        Angle angle{kConstant, 0, 0, step.offset};
        if (step.param >= 0) {
            angle = angles[step.param];
            angle.scale *= step.scale;
            angle.offset = angle.offset * step.scale + step.offset;
        }
        note_size(angle);
        if (where.size() == 1) {
            pending_[where[0]].add(gate, angle);
            return;
        }
        open_controlled(where);
        controlled_.add(gate, angle);
    }

    void channel(const Step& step, const std::vector<int>& where) {
        const auto choice = static_cast<int32_t>(program_.choices.size());
        program_.choices.push_back(make_choice(step, program_.num_draws));
        if (where.size() == 1) {
            pending_[where[0]].add_choice(choice);
        } else {
            matrix(kChannelItem, where, {}, choice);
        }
    }

    void matrix(Kind kind, const std::vector<int>& where, const std::vector<Complex>& entries,
                int32_t choice) {
        for (int q : where) flush(q);
        Dense dense{{}, {}, 0, entries, choice};
        for (int q : where) {
            dense.flips |= uint32_t{flipped(q)} << dense.masks.size();
            dense.masks.push_back(program_.columns[q]);
            dense.rows.push_back(program_.rows[q]);
        }
        Item item{};
        item.kind = kind;
        item.factor_begin = item.factor_end = static_cast<int32_t>(program_.factors.size());
        item.control_begin = item.control_end = static_cast<int32_t>(program_.controls.size());
        item.dense = static_cast<int32_t>(program_.dense.size());
        program_.dense.push_back(std::move(dense));
        program_.items.push_back(item);
    }

    void note_size(const Angle& angle) {
        if (angle.source == kWeight)
            program_.num_weights = std::max(program_.num_weights, angle.index + 1);
        if (angle.source == kInput)
            program_.num_inputs = std::max(program_.num_inputs, angle.index + 1);
    }

    // Consecutive factors with the same target and controls make one item.
    void open_controlled(const std::vector<int>& where) {
        const bool busy = std::any_of(where.begin(), where.end(),
                                      [&](int q) { return !pending_[q].factors.empty(); });
        if (where == controlled_where_ && !busy) return;
        close_controlled();
        for (int q : where) flush(q);
        controlled_where_ = where;
    }

    void close_controlled() {
        if (!controlled_.factors.empty()) emit(controlled_, controlled_where_);
        controlled_ = {};
        controlled_where_.clear();
    }

    void close_controlled_on(int q) {
        if (std::find(controlled_where_.begin(), controlled_where_.end(), q) !=
            controlled_where_.end()) {
            close_controlled();
        }
    }

    // An open controlled item on this qubit comes before whatever waits on it.
    void flush(int q) {
        close_controlled_on(q);
        if (pending_[q].factors.empty()) return;
        emit(pending_[q], {q});
        pending_[q] = {};
    }

    // Controls first, then the target.
    void emit(const FusedFactors& fused, const std::vector<int>& where) {
        Item item{};
        item.factor_begin = static_cast<int32_t>(program_.factors.size());
        program_.factors.insert(program_.factors.end(), fused.factors.begin(), fused.factors.end());
        item.factor_end = static_cast<int32_t>(program_.factors.size());
        item.kind = fused.kind();
        item.depends = fused.depends;
        item.mask = program_.columns[where.back()];
        item.row = program_.rows[where.back()];
        item.flip = flipped(where.back());
        item.control_begin = static_cast<int32_t>(program_.controls.size());
        for (size_t c = 0; c + 1 < where.size(); ++c)
            program_.controls.push_back({program_.rows[where[c]], flipped(where[c])});
        item.control_end = static_cast<int32_t>(program_.controls.size());
        program_.items.push_back(item);
    }

    uint8_t flipped(int q) const {
        return static_cast<uint8_t>(parity(program_.rows[q] & program_.offset));
    }

    Program& program_;
    const GateTable& table_;
    std::vector<FusedFactors> pending_;
    FusedFactors controlled_;
    std::vector<int> controlled_where_;  // controls, then the target; empty if none is open
};

Program::Program(const GateTable& table, const std::vector<LoweredGate>& own, int num_qubits,
                 const std::vector<int32_t>& gates, const std::vector<int32_t>& qubits,
                 const std::vector<Angle>& angles)
    : num_qubits(num_qubits) {
    Planner planner(*this, table);
    const int32_t* next_qubit = qubits.data();
    const Angle* next_angle = angles.data();
    for (int32_t id : gates) {
        const size_t number = static_cast<size_t>(id), known = table.gates.size();
        const LoweredGate& gate = number < known ? table.gates[number] : own[number - known];
        planner.add(gate, next_qubit, next_angle);
        next_qubit += gate.num_qubits;
        next_angle += gate.num_params;
    }
    planner.finish();
}

const Schedule& Program::schedule(const ScheduleRequest& request) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Schedule>& kept = schedules_[request];
    if (!kept) kept = std::make_unique<Schedule>(make_schedule(*this, request));
    return *kept;
}

}  // namespace qsim
