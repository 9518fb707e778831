// From gates and channels to steps.
#include <cmath>
#include <stdexcept>

#include "transfer_maps.hpp"

namespace qsim::cpu {

namespace {

using Square = std::vector<double>;  // [4^k, 4^k], row-major

bool is_constant(const TransferFactor& factor) { return factor.angle.source == kConstant; }

size_t side_of(size_t num_qubits) { return size_t{1} << (2 * num_qubits); }

// The second matrix after the first one; both have few entries as a rule.
Square product(const Square& second, const Square& first, size_t side) {
    Square both(side * side);
    for (size_t i = 0; i < side; ++i) {
        for (size_t k = 0; k < side; ++k) {
            const double weight = second[i * side + k];
            if (weight == 0) continue;
            for (size_t j = 0; j < side; ++j) both[i * side + j] += weight * first[k * side + j];
        }
    }
    return both;
}

// The matrix with its qubit order[k] at place k.
Square reordered(const Square& matrix, const std::vector<size_t>& order) {
    const size_t side = side_of(order.size());
    std::vector<size_t> where(side);
    for (size_t p = 0; p < side; ++p) {
        for (size_t k = 0; k < order.size(); ++k) where[p] |= (p >> (2 * k) & 3) << (2 * order[k]);
    }
    Square result(side * side);
    for (size_t i = 0; i < side; ++i) {
        for (size_t j = 0; j < side; ++j) result[i * side + j] = matrix[where[i] * side + where[j]];
    }
    return result;
}

// A map on the qubit at this place among so many.
Square widened(const Rows<double>& rows, size_t place, size_t num_qubits) {
    const size_t side = side_of(num_qubits), shift = 2 * place;
    Square result(side * side);
    for (size_t i = 0; i < side; ++i) {
        const size_t rest = i & ~(size_t{3} << shift), row = i >> shift & 3;
        for (size_t j = 0; j < 4; ++j) {
            const double entry = row ? rows[4 * (row - 1) + j] : (j == 0 ? 1.0 : 0.0);
            result[i * side + (rest | j << shift)] = entry;
        }
    }
    return result;
}

// As a weighted move, if no row or column has two entries.
bool as_move(const Square& matrix, WeightedMove& move) {
    uint32_t taken = 0;
    for (size_t i = 0; i < 16; ++i) {
        int found = 0;
        move.source[i] = static_cast<int32_t>(i);
        move.weight[i] = 0;
        for (size_t j = 0; j < 16; ++j) {
            if (matrix[i * 16 + j] == 0) continue;
            if (++found > 1 || taken >> j & 1) return false;
            taken |= 1u << j;
            move.source[i] = static_cast<int32_t>(j);
            move.weight[i] = matrix[i * 16 + j];
        }
    }
    return true;
}

Square transposed(const Square& matrix, size_t side) {
    Square result(matrix.size());
    for (size_t i = 0; i < side; ++i) {
        for (size_t j = 0; j < side; ++j) result[j * side + i] = matrix[i * side + j];
    }
    return result;
}

Rows<double> last_rows(const Square& matrix) {
    Rows<double> rows{};
    if (!matrix.empty()) std::copy(matrix.begin() + 4, matrix.end(), rows.begin());
    return rows;
}

// Collects maps of each qubit until something acts on several qubits.
class Planner {
  public:
    explicit Planner(TransferProgram& program)
        : program_(program),
          waiting_(static_cast<size_t>(program.num_qubits)),
          last_(static_cast<size_t>(program.num_qubits), -1) {}

    void add_map(int32_t qubit, TransferFactor factor) {
        auto& chain = waiting_.at(static_cast<size_t>(qubit));
        if (is_constant(factor)) {
            const double angle = factor.angle.offset;
            factor.constant = factor_rows<double>(factor, std::cos(angle), std::sin(angle));
            factor.cosine = factor.sine = {};
            if (factor.constant == identity_rows<double>()) return;
            if (!chain.empty() && is_constant(chain.back())) {
                chain.back().constant = qsim::cpu::product(factor.constant, chain.back().constant);
                return;
            }
        }
        chain.push_back(factor);
    }

    void add_matrix(const std::vector<int32_t>& qubits, Square matrix) {
        if (join_last(qubits, matrix)) return;
        WeightedMove move;
        if (qubits.size() != 2 || !as_move(matrix, move)) absorb(qubits, matrix);
        for (const int32_t qubit : qubits) flush(qubit);
        emit({kMatrix, qubits, 0, 0, std::move(matrix), {}, {}, {}});
    }

    void finish() {
        for (int32_t qubit = 0; qubit < program_.num_qubits; ++qubit) flush(qubit);
        for (TransferStep& step : program_.steps) {
            if (step.kind != kMatrix) continue;
            step.transposed = transposed(step.matrix, side_of(step.qubits.size()));
            if (step.qubits.size() == 2 && as_move(step.matrix, step.move)) {
                step.kind = kMove;
                as_move(step.transposed, step.back);
            }
        }
    }

  private:
    // Becomes part of the last step, if that is on the same qubits and nothing came between.
    bool join_last(const std::vector<int32_t>& qubits, const Square& matrix) {
        const int32_t at = last_.at(static_cast<size_t>(qubits[0]));
        for (const int32_t qubit : qubits) {
            const auto q = static_cast<size_t>(qubit);
            if (last_.at(q) != at || at < 0 || !waiting_[q].empty()) return false;
        }
        TransferStep& step = program_.steps[static_cast<size_t>(at)];
        if (step.kind != kMatrix || step.qubits.size() != qubits.size()) return false;
        std::vector<size_t> order(qubits.size());
        for (size_t k = 0; k < order.size(); ++k) {
            while (qubits[order[k]] != step.qubits[k]) ++order[k];
        }
        step.matrix = product(reordered(matrix, order), step.matrix, side_of(step.qubits.size()));
        return true;
    }

    // Constant maps before a full matrix cost nothing as a part of it.
    void absorb(const std::vector<int32_t>& qubits, Square& matrix) {
        for (size_t k = 0; k < qubits.size(); ++k) {
            auto& chain = waiting_.at(static_cast<size_t>(qubits[k]));
            if (chain.size() != 1 || !is_constant(chain.front())) continue;
            matrix = product(matrix, widened(chain.front().constant, k, qubits.size()),
                             side_of(qubits.size()));
            chain.clear();
        }
    }

    void flush(int32_t qubit) {
        auto& chain = waiting_.at(static_cast<size_t>(qubit));
        if (chain.empty()) return;
        const auto begin = static_cast<int32_t>(program_.factors.size());
        program_.factors.insert(program_.factors.end(), chain.begin(), chain.end());
        chain.clear();
        emit({kOneQubit,
              {qubit},
              begin,
              static_cast<int32_t>(program_.factors.size()),
              {},
              {},
              {},
              {}});
    }

    void emit(TransferStep step) {
        for (const int32_t qubit : step.qubits)
            last_.at(static_cast<size_t>(qubit)) = static_cast<int32_t>(program_.steps.size());
        program_.steps.push_back(std::move(step));
    }

    TransferProgram& program_;
    std::vector<std::vector<TransferFactor>> waiting_;
    std::vector<int32_t> last_;  // step that acts on the qubit last
};

}  // namespace

TransferProgram::TransferProgram(int qubit_count, const std::vector<const TransferGate*>& gates,
                                 const std::vector<int32_t>& qubits,
                                 const std::vector<Angle>& angles)
    : num_qubits(qubit_count) {
    for (const Angle& angle : angles) {
        int& size = angle.source == kInput ? num_inputs : num_weights;
        if (angle.source != kConstant) size = std::max(size, angle.index + 1);
    }
    Planner planner(*this);
    size_t qubit = 0, angle = 0;
    for (const TransferGate* gate : gates) {
        for (const TransferPart& part : gate->parts) {
            std::vector<int32_t> where;
            for (const int32_t q : part.qubits)
                where.push_back(qubits.at(qubit + static_cast<size_t>(q)));
            if (where.size() > 1) {
                planner.add_matrix(where, part.constant);
                continue;
            }
            Angle own{kConstant, -1, 0, part.offset};
            if (part.param >= 0) {
                own = angles.at(angle + static_cast<size_t>(part.param));
                own.scale *= part.scale;
                own.offset = own.offset * part.scale + part.offset;
            }
            planner.add_map(where.at(0), {own, last_rows(part.constant), last_rows(part.cosine),
                                          last_rows(part.sine)});
        }
        qubit += static_cast<size_t>(gate->num_qubits);
        angle += static_cast<size_t>(gate->num_params);
    }
    if (qubit != qubits.size() || angle != angles.size())
        throw std::invalid_argument("gates, qubits and angles do not belong together");
    planner.finish();
}

}  // namespace qsim::cpu
