#include "planner.hpp"

#include <algorithm>

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

}  // namespace

// Gates that wait on a qubit until something else touches it.
struct FusedFactors {
    std::vector<Factor> factors;
    bool diagonal = true, real = true;
    uint8_t depends = 0;

    void add(const Elementary& gate, const Angle& angle) {
        Factor factor{angle, {0, 0}, {}};
        if (angle.source == kConstant) {
            const Matrix fixed = evaluate(gate, angle.offset);
            diagonal = diagonal && is_diagonal(fixed);
            real = real && is_real(fixed);
            if (!factors.empty() && factors.back().angle.source == kConstant) {
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
        for (const Step& step : gate.steps) {
            const int target = qubits[step.target];
            const int first = step.control[0] < 0 ? -1 : qubits[step.control[0]];
            const int second = step.control[1] < 0 ? -1 : qubits[step.control[1]];
            switch (step.kind) {
                case kX:
                    flip(target);
                    break;
                case kCX:
                    controlled_flip(first, target);
                    break;
                case kSwap:
                    exchange(first, target);
                    break;
                default:
                    factor(step, target, first, second, angles);
            }
        }
    }

    void finish() {
        for (int q = 0; q < program_.num_qubits; ++q) flush(q);
    }

  private:
    void flip(int q) {
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

    void factor(const Step& step, int target, int first, int second, const Angle* angles) {
        const Elementary& gate = table_.elementary[step.elementary];
        Angle angle{kConstant, 0, 0, step.offset};
        if (step.param >= 0) {
            angle = angles[step.param];
            angle.scale *= step.scale;
            angle.offset = angle.offset * step.scale + step.offset;
        }
        note_size(angle);
        if (first < 0) {
            pending_[target].add(gate, angle);
            return;
        }
        open_controlled(target, first, second);
        controlled_.add(gate, angle);
    }

    void note_size(const Angle& angle) {
        if (angle.source == kWeight)
            program_.num_weights = std::max(program_.num_weights, angle.index + 1);
        if (angle.source == kInput)
            program_.num_inputs = std::max(program_.num_inputs, angle.index + 1);
    }

    // Consecutive factors with the same target and controls make one item.
    void open_controlled(int target, int first, int second) {
        const std::array<int, 3> where{target, first, second};
        const bool busy = std::any_of(where.begin(), where.end(), [&](int q) {
            return q >= 0 && !pending_[q].factors.empty();
        });
        if (where == controlled_where_ && !busy) return;
        close_controlled();
        for (int q : where) {
            if (q >= 0) flush(q);
        }
        controlled_where_ = where;
    }

    void close_controlled() {
        if (!controlled_.factors.empty()) {
            emit(controlled_, controlled_where_[0], {controlled_where_[1], controlled_where_[2]});
        }
        controlled_ = {};
        controlled_where_ = {-1, -1, -1};
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
        emit(pending_[q], q, {-1, -1});
        pending_[q] = {};
    }

    void emit(const FusedFactors& fused, int target, std::array<int, 2> controls) {
        Item item{};
        item.factor_begin = static_cast<int32_t>(program_.factors.size());
        program_.factors.insert(program_.factors.end(), fused.factors.begin(), fused.factors.end());
        item.factor_end = static_cast<int32_t>(program_.factors.size());
        item.kind = fused.kind();
        item.depends = fused.depends;
        item.mask = program_.columns[target];
        item.row = program_.rows[target];
        item.flip = static_cast<uint8_t>(parity(item.row & program_.offset));
        for (int q : controls) {
            if (q < 0) continue;
            item.control_row[item.controls] = program_.rows[q];
            item.control_flip[item.controls++] =
                static_cast<uint8_t>(parity(program_.rows[q] & program_.offset));
        }
        program_.items.push_back(item);
    }

    Program& program_;
    const GateTable& table_;
    std::vector<FusedFactors> pending_;
    FusedFactors controlled_;
    std::array<int, 3> controlled_where_{-1, -1, -1};
};

Program::Program(const GateTable& table, int num_qubits, const std::vector<int32_t>& gates,
                 const std::vector<int32_t>& qubits, const std::vector<Angle>& angles)
    : num_qubits(num_qubits) {
    Planner planner(*this, table);
    const int32_t* next_qubit = qubits.data();
    const Angle* next_angle = angles.data();
    for (int32_t id : gates) {
        const LoweredGate& gate = table.gates[id];
        planner.add(gate, next_qubit, next_angle);
        next_qubit += gate.num_qubits;
        next_angle += gate.num_params;
    }
    planner.finish();
}

namespace {

// A subspace of addresses in reduced row echelon form: vector k alone has bit pivots[k].
struct Subspace {
    std::vector<uint64_t> vectors, pivots;

    // Take the mask in; false if that would need more than `most` dimensions.
    bool include(uint64_t mask, size_t most) {
        for (size_t k = 0; k < vectors.size(); ++k) {
            if (mask & pivots[k]) mask ^= vectors[k];
        }
        if (mask == 0) return true;
        if (vectors.size() == most) return false;
        const uint64_t pivot = uint64_t{1} << (63 - __builtin_clzll(mask));
        for (uint64_t& vector : vectors) {
            if (vector & pivot) vector ^= mask;
        }
        vectors.push_back(mask);
        pivots.push_back(pivot);
        return true;
    }

    // Full rank, by unit vectors, low addresses first; then in the order of the pivots.
    void complete(size_t size, int num_qubits) {
        for (int q = 0; q < num_qubits && vectors.size() < size; ++q)
            include(uint64_t{1} << q, size);
        std::vector<std::pair<uint64_t, uint64_t>> sorted;
        for (size_t k = 0; k < vectors.size(); ++k) sorted.emplace_back(pivots[k], vectors[k]);
        std::sort(sorted.begin(), sorted.end());
        for (size_t k = 0; k < sorted.size(); ++k) std::tie(pivots[k], vectors[k]) = sorted[k];
    }

    uint32_t coordinates(uint64_t mask) const {
        uint32_t local = 0;
        for (size_t k = 0; k < pivots.size(); ++k) local |= (mask & pivots[k]) ? 1u << k : 0u;
        return local;
    }

    // The functional parity(row & .) in these coordinates.
    uint32_t functional(uint64_t row) const {
        uint32_t local = 0;
        for (size_t k = 0; k < vectors.size(); ++k)
            local |= static_cast<uint32_t>(parity(row & vectors[k])) << k;
        return local;
    }
};

void add_pairs(const Item& item, const Subspace& space, Schedule& schedule) {
    const uint32_t mask = space.coordinates(item.mask), row = space.functional(item.row);
    const uint32_t top = 1u << (31 - __builtin_clz(mask));
    const uint32_t size = 1u << space.vectors.size();
    uint32_t control[2] = {};
    for (int c = 0; c < item.controls; ++c) control[c] = space.functional(item.control_row[c]);
    PairSpan span{};
    for (uint32_t segment = 0; segment < 4; ++segment) {
        span.begin[segment] = static_cast<uint32_t>(schedule.pairs.size());
        if (segment >> item.controls) continue;
        for (uint32_t j = 0; j < size; ++j) {
            if (j & top || parity(j & control[0]) != (segment & 1) ||
                parity(j & control[1]) != segment >> 1)
                continue;
            const uint32_t swap = parity(j & row) ? mask : 0;
            schedule.pairs.push_back(static_cast<uint16_t>(j ^ swap));
            schedule.pairs.push_back(static_cast<uint16_t>(j ^ mask ^ swap));
        }
    }
    span.begin[4] = static_cast<uint32_t>(schedule.pairs.size());
    schedule.spans.push_back(span);
}

void add_offsets(const Subspace& space, Schedule& schedule) {
    const size_t begin = schedule.offsets.size();
    schedule.offsets.push_back(0);
    for (uint64_t vector : space.vectors) {
        const size_t count = schedule.offsets.size() - begin;
        for (size_t j = 0; j < count; ++j)
            schedule.offsets.push_back(schedule.offsets[begin + j] ^ vector);
    }
}

}  // namespace

const Schedule& Program::schedule(int bits) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Schedule>& kept = schedules_[bits];
    if (kept) return *kept;
    auto made = std::make_unique<Schedule>();
    const auto count = static_cast<int32_t>(items.size());
    const auto size = static_cast<size_t>(std::min(bits, num_qubits));
    for (int32_t begin = 0; begin < count;) {
        Subspace space;
        int32_t end = begin;
        while (end < count && space.include(items[end].mask, size)) ++end;
        space.complete(size, num_qubits);
        Sweep sweep{begin, end, static_cast<int32_t>(size), 0,
                    static_cast<uint32_t>(made->offsets.size())};
        for (uint64_t pivot : space.pivots) sweep.pivots |= pivot;
        add_offsets(space, *made);
        for (int32_t k = begin; k < end; ++k) add_pairs(items[k], space, *made);
        made->sweeps.push_back(sweep);
        begin = end;
    }
    kept = std::move(made);
    return *kept;
}

}  // namespace qsim
