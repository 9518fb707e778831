// One block of trajectories on its way: matrices, choices, and what is read.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "memory.hpp"
#include "trajectories.hpp"

namespace qsim::cpu {
namespace {

// Mean of K+K for an operator, in a density matrix that is not normalised.
double mean_square(const Complex* operator_, const std::vector<Complex>& rho, size_t side) {
    double total = 0;
    for (size_t a = 0; a < side; ++a) {
        for (size_t i = 0; i < side; ++i) {
            for (size_t j = 0; j < side; ++j) {
                const Complex left = operator_[a * side + i] * rho[i * side + j];
                total += (left * std::conj(operator_[a * side + j])).real();
            }
        }
    }
    return total;
}

// W trajectories at a time.
template <class T>
class TrajectoryBlock {
    static constexpr int W = kLanes<T>;

  public:
    template <class Implementation>
    explicit TrajectoryBlock(const Implementation& run)
        : call_(run.call),
          program_(run.call.program),
          kernels_(run.kernels),
          view_(run.view),
          places_(run.places.data()),
          plain_(run.plain.data()),
          dense_(run.dense.data()),
          size_(run.size()),
          decided_(static_cast<size_t>(program_.num_draws)),
          chosen_(decided_.size() * W),
          scales_(decided_.size() * W) {}

    // Rows as they are numbered.
    void take(int64_t number) {
        first_ = number * W;
        count_ = static_cast<int>(std::min<int64_t>(W, call_.angles.batch - first_));
        ways_ = nullptr;
        begin();
    }

    // Ways, of rows in this order.
    void take(const WayBlock& lanes, const Way* ways, const int64_t* rows) {
        first_ = lanes.sample * call_.trajectories;  // angles are those of the sample
        count_ = lanes.count;
        ways_ = ways, rows_ = rows;
        begin();
    }

    // A sample, with the first operator of every choice.
    void lead(int64_t sample) {
        first_ = sample * call_.trajectories;
        std::fill(decided_.begin(), decided_.end(), uint8_t{1});
        std::fill(chosen_.begin(), chosen_.end(), 0);
        std::fill(scales_.begin(), scales_.end(), T(1));
    }

    T* states(int64_t count) { return states_.get(count * size_); }

    void start(T* psi) const {
        std::fill_n(psi, size_, T(0));
        if (!call_.initial) {
            std::fill_n(psi, W, T(1));
            return;
        }
        for (int l = 0; l < W; ++l) {
            const int64_t sample =
                std::min(first_ + l, call_.angles.batch - 1) / call_.trajectories;
            const T* row = call_.initial + sample * call_.initial_stride;
            for (int64_t p = 0; p < view_.num_vectors(); ++p) {
                psi[2 * W * p + l] = row[2 * p];
                psi[2 * W * p + W + l] = row[2 * p + 1];
            }
        }
    }

    void forward(int begin, int end, T* psi) {
        for (int k = begin; k < end; ++k) apply(k, false, psi, psi);
    }

    void apply(int k, bool back, const T* from, T* to) {
        const Item& item = program_.items[static_cast<size_t>(k)];
        if (item.kind == kMatrixItem) {
            apply_matrix(k, false, back, dense_[item.dense].data(), from, to);
            return;
        }
        if (item.kind == kChannelItem) {
            const int32_t choice = program_.dense[static_cast<size_t>(item.dense)].choice;
            if (!decide(choice)) decide_by(k, choice, from);
            const T* lanes = chosen(choice);
            if (lanes || from != to) apply_or_copy(k, back, lanes, from, to);
            return;
        }
        for (int f = item.factor_begin;; from = to) {
            f = collect(item, f);
            if (!identity_ || from != to)
                apply_or_copy(k, back, identity_ ? nullptr : product_, from, to);
            if (f == item.factor_end) return;
            decide_by(k, program_.factors[static_cast<size_t>(f)].choice, to);
        }
    }

    // The derivatives of an item's angles; `given` is the state before it, lambda goes back.
    void differentiate(int k, int64_t, const T* given, T* lambda, const Gradients<T>& out) {
        const Item& item = program_.items[static_cast<size_t>(k)];
        const int count = item.factor_end - item.factor_begin;
        T* factors = factors_.get(2 * count * kMatrix);
        T* products = factors + count * kMatrix;
        for (int f = 0; f < count; ++f) {
            T *own = factors + f * kMatrix, *product = products + f * kMatrix;
            if (!matrix_of(program_.factors[static_cast<size_t>(item.factor_begin + f)], own))
                set_identity(own);
            std::copy_n(own, kMatrix, product);
            if (f > 0) {
                std::copy_n(product - kMatrix, kMatrix, product);
                kernels_.trajectories->multiply(own, false, product);
            }
        }
        kernels_.trajectories->contract(view_, places_[k], given, lambda, sums_.get(kMatrix));
        T* sums = sums_.get(kMatrix);
        for (int f = count - 1; f >= 0; --f) {
            const Factor& factor = program_.factors[static_cast<size_t>(item.factor_begin + f)];
            if (factor.angle.source != kConstant)
                kernels_.trajectories->gradient(view_, factor, first_, products + f * kMatrix, sums,
                                                out);
            kernels_.trajectories->multiply(factors + f * kMatrix, true, sums);
        }
        apply(k, true, lambda, lambda);
    }

    void expval(const T* psi, T* values) const {
        const auto& paulis = call_.measurement.paulis;
        std::vector<double> totals(paulis.size() * W);
        kernels_.expval(view_, 0, view_.num_vectors(), psi, totals.data());
        each_value([&](size_t pauli, int lane, int64_t place) {
            values[place] =
                static_cast<T>(sign(paulis[pauli]) * totals[pauli * W + static_cast<size_t>(lane)]);
        });
    }

    // lambda <- sum over paulis of cotangent P psi.
    void seed(const T* psi, const T* cotangent, T* lambda) {
        const auto& paulis = call_.measurement.paulis;
        T* weights = weights_.zeros(static_cast<int64_t>(paulis.size()) * W);
        each_value([&](size_t pauli, int lane, int64_t place) {
            weights[pauli * W + static_cast<size_t>(lane)] =
                static_cast<T>(sign(paulis[pauli])) * cotangent[place];
        });
        kernels_.seed(view_, 0, view_.num_vectors(), psi, weights, lambda);
    }

    void sample(const T* psi, int64_t* states) {
        const int64_t length = int64_t{1} << view_.num_qubits / 2;
        double* sums = runs_.zeros(view_.num_vectors() / length * W);
        kernels_.trajectories->squares(view_, psi, length, sums);
        for (int l = 0; l < count_; ++l) {
            each_row(l, [&](int64_t row) {
                const double number = call_.numbers(row).at(program_.num_draws);
                const uint64_t address = drawn(psi, sums, length, l, number);
                int64_t& state = states[row];
                state = 0;
                for (size_t q = 0; q < program_.rows.size(); ++q)
                    state |=
                        static_cast<int64_t>(parity(program_.rows[q] & (address ^ program_.offset)))
                        << q;
            });
        }
    }

  private:
    static constexpr int64_t kMatrix = int64_t{8} * W;  // lanes of a 2x2 matrix

    void begin() {
        std::fill(decided_.begin(), decided_.end(), uint8_t{0});
        for (int l = 0; l < count_; ++l)
            numbers_[l] = call_.numbers(ways_ ? rows_[ways_[l].begin] : first_ + l);
    }

    // Calls visit(row) for the rows of a lane.
    template <class Visit>
    void each_row(int lane, Visit visit) const {
        if (!ways_) return visit(first_ + lane);
        for (int64_t k = ways_[lane].begin; k < ways_[lane].end; ++k) visit(rows_[k]);
    }

    // Where the cumulative |psi|^2 of a lane passes the number, as a part of the whole.
    uint64_t drawn(const T* psi, const double* sums, int64_t length, int lane,
                   double number) const {
        const int64_t size = view_.num_vectors();
        double bound = 0;
        for (int64_t run = 0; run < size / length; ++run) bound += sums[run * W + lane];
        bound *= number;
        int64_t run = 0;
        for (; run < size / length - 1 && sums[run * W + lane] <= bound; ++run)
            bound -= sums[run * W + lane];
        int64_t found = run * length;
        for (int64_t p = found; p < (run + 1) * length; ++p) {
            const double re = psi[2 * W * p + lane], im = psi[2 * W * p + W + lane];
            const double square = re * re + im * im;
            if (square > 0) found = p;  // also if rounding leaves the bound beyond all
            if (square > bound) break;
            bound -= square;
        }
        return static_cast<uint64_t>(found);
    }

    static double sign(const Pauli& pauli) {
        return (pauli.sign ? -1 : 1) * (pauli.num_y & 2 ? -1 : 1);
    }

    template <class Visit>
    void each_value(Visit visit) const {
        const auto& paulis = call_.measurement.paulis;
        for (size_t k = 0; k < paulis.size(); ++k) {
            for (int l = 0; l < count_; ++l) {
                each_row(l, [&](int64_t row) {
                    visit(k, l, row * static_cast<int64_t>(paulis.size()) + paulis[k].column);
                });
            }
        }
    }

    void apply_matrix(int k, bool lanes, bool back, const T* matrix, const T* from, T* to) const {
        kernels_.trajectories->apply(view_, places_[k], lanes, back, matrix, from, to);
    }

    void apply_or_copy(int k, bool back, const T* lanes, const T* from, T* to) const {
        if (lanes) {
            apply_matrix(k, true, back, lanes, from, to);
        } else {
            std::copy_n(from, size_, to);
        }
    }

    // --- Matrices
    // ---------------------------------------------------------------------------------

    static void set_identity(T* matrix) {
        std::fill_n(matrix, kMatrix, T(0));
        for (int e : {0, 3}) std::fill_n(matrix + 2 * W * e, W, T(1));
    }

    // Lanes of a factor's matrix; false if it does nothing.
    bool matrix_of(const Factor& factor, T* to) {
        if (factor.choice < 0) {
            kernels_.trajectories->factor(view_, factor, first_, to);
            return true;
        }
        const T* lanes = chosen(factor.choice);
        if (lanes) std::copy_n(lanes, kMatrix, to);
        return lanes != nullptr;
    }

    // product_ <- the item's factors from f on, up to the end or a choice that takes the state.
    int collect(const Item& item, int f) {
        T* own = own_.get(2 * kMatrix);
        product_ = own + kMatrix;
        identity_ = true;
        for (; f < item.factor_end; ++f) {
            const Factor& factor = program_.factors[static_cast<size_t>(f)];
            if (factor.choice >= 0 && !decide(factor.choice)) return f;
            if (!matrix_of(factor, identity_ ? product_ : own)) continue;
            if (!identity_) kernels_.trajectories->multiply(own, false, product_);
            identity_ = false;
        }
        return f;
    }

    // Lanes of the operators that were chosen; null if they do nothing.
    const T* chosen(int32_t number) {
        const Choice& choice = program_.choices[static_cast<size_t>(number)];
        const int32_t* operators = chosen_.data() + choice.draw * W;
        const T* scales = scales_.data() + choice.draw * W;
        bool plain = true;
        for (int l = 0; l < W; ++l)
            plain = plain && plain_[number][static_cast<size_t>(operators[l])] && scales[l] == 1;
        if (plain) return nullptr;
        T* lanes = lanes_.get(static_cast<int64_t>(2 * W * choice.entries));
        for (int l = 0; l < W; ++l) {
            const Complex* entries =
                choice.operators.data() + static_cast<size_t>(operators[l]) * choice.entries;
            for (size_t e = 0; e < choice.entries; ++e) {
                lanes[2 * W * e + static_cast<size_t>(l)] =
                    scales[l] * static_cast<T>(entries[e].real());
                lanes[2 * W * e + W + static_cast<size_t>(l)] =
                    scales[l] * static_cast<T>(entries[e].imag());
            }
        }
        return lanes;
    }

    // --- Choices
    // ----------------------------------------------------------------------------------

    // False if the state of one of the lanes decides. Lanes beyond take the first operator.
    bool decide(int32_t number) {
        const Choice& choice = program_.choices[static_cast<size_t>(number)];
        const auto draw = static_cast<size_t>(choice.draw);
        if (decided_[draw]) return true;
        bool all = true;
        for (int l = 0; l < W; ++l) {
            const int32_t k = l < count_ ? chosen_by(choice, numbers_[l].at(choice.draw)) : 0;
            chosen_[draw * W + static_cast<size_t>(l)] = k;
            scales_[draw * W + static_cast<size_t>(l)] = 1;
            all = all && k != kOpen;
        }
        decided_[draw] = all;
        return all;
    }

    // The lanes that were left open choose by their states.
    void decide_by(int k, int32_t number, const T* psi) {
        const Choice& choice = program_.choices[static_cast<size_t>(number)];
        const auto draw = static_cast<size_t>(choice.draw);
        const auto side = static_cast<size_t>(std::sqrt(choice.entries));
        T* sums = sums_.get(static_cast<int64_t>(2 * W * choice.entries));
        kernels_.trajectories->contract(view_, places_[k], psi, psi, sums);
        std::vector<Complex> rho(choice.entries);
        for (size_t l = 0; l < W; ++l) {
            int32_t& found = chosen_[draw * W + l];
            if (found != kOpen) continue;
            for (size_t e = 0; e < rho.size(); ++e)
                rho[e] = {static_cast<double>(sums[2 * W * e + l]),
                          static_cast<double>(sums[2 * W * e + W + l])};
            double norm = 0;
            for (size_t i = 0; i < side; ++i) norm += rho[i * (side + 1)].real();
            double rest = numbers_[l].at(choice.draw), square = norm;
            for (const double least : choice.least) rest -= least;
            for (size_t o = 0; o < choice.least.size(); ++o) {
                const double mean =
                    mean_square(choice.operators.data() + o * choice.entries, rho, side);
                const double more = choice.weights[o] * mean / norm - choice.least[o];
                if (more <= kRounding) continue;
                found = static_cast<int32_t>(o), square = mean;
                if (rest < more) break;
                rest -= more;
            }
            scales_[draw * W + l] = static_cast<T>(1 / std::sqrt(square));
        }
        decided_[draw] = 1;
    }

    const TrajectoryCall<T>& call_;
    const Program& program_;
    const Kernels<T>& kernels_;
    const View<T>& view_;
    const Place* places_;
    const std::vector<uint8_t>* plain_;
    const std::vector<T>* dense_;
    int64_t size_, first_ = 0;   // whose angles the first lane takes
    int count_ = 0;              // lanes in use
    const Way* ways_ = nullptr;  // [lanes]; null: a row each
    const int64_t* rows_ = nullptr;
    Numbers numbers_[W];
    std::vector<uint8_t> decided_;  // [draws]
    std::vector<int32_t> chosen_;   // [draws][W]
    std::vector<T> scales_;         // [draws][W]
    T* product_ = nullptr;
    bool identity_ = true;
    Reusable<T> states_, own_, factors_, lanes_, sums_, weights_;
    Reusable<double> runs_;
};

// The state that the trajectories of a sample have in common, on its way.
template <class T>
class Leader {
  public:
    template <class Implementation>
    explicit Leader(const Implementation& run) : block_(run) {}

    // The state before an item, in all lanes; items must not fall as long as the sample is the
    // same.
    const T* before(int item, int64_t sample) {
        T* psi = block_.states(1);
        if (sample != sample_) {
            block_.lead(sample);
            block_.start(psi);
            sample_ = sample, at_ = 0;
        }
        block_.forward(at_, item, psi);
        at_ = item;
        return psi;
    }

    void forget() { sample_ = -1; }

  private:
    TrajectoryBlock<T> block_;
    int64_t sample_ = -1;
    int at_ = 0;
};

}  // namespace
}  // namespace qsim::cpu
