// One block of trajectories on its way: matrices, passes, and what is read.
#pragma once

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "memory.hpp"
#include "trajectories.hpp"
#include "trajectory_choices.hpp"

namespace qsim::cpu {

// Trajectories of a sample that choose alike: from rows[begin] up to rows[end] of the order.
struct Way {
    int64_t begin, end;
    int leave;  // the first item where they do not choose the first operators
};

// Ways of a sample, a lane for each.
struct WayBlock {
    int64_t sample, first;
    int count;
};

namespace {

// A place of the qubits of two others.
inline Place together(const Place& a, const Place& b) {
    Place place{0,  {a.masks[0], b.masks[0]}, {a.rows[0], b.rows[0]},
                {}, a.flips | b.flips << 1,   {}};
    place.span();
    return place;
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
          dense_(run.dense.data()),
          choices_(run.call.program, run.plain.data()),
          size_(run.size()) {}

    // Rows as they are numbered.
    void take(int64_t number) {
        first_ = number * W;
        count_ = static_cast<int>(std::min<int64_t>(W, call_.angles.batch - first_));
        ways_ = nullptr;
        choose();
    }

    // Ways, of rows in this order.
    void take(const WayBlock& lanes, const Way* ways, const int64_t* rows) {
        first_ = lanes.sample * call_.trajectories;
        count_ = lanes.count;
        ways_ = ways, rows_ = rows;
        choose();
    }

    // A sample, with the first operator of every choice.
    void lead(int64_t sample) {
        first_ = sample * call_.trajectories;
        choices_.lead();
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

    // Matrices on one qubit wait for one on another qubit, with which they share a pass.
    void forward(int begin, int end, T* psi) {
        int waiting = -1;
        T* matrix = waiting_.get(kMatrix);
        const auto finish = [&] {
            if (waiting >= 0) apply_matrix(waiting, true, false, matrix, psi, psi);
            waiting = -1;
        };
        for (int k = begin; k < end; ++k) {
            const Item& item = program_.items[static_cast<size_t>(k)];
            const bool alone = item.kind == kMatrixItem || item.kind == kChannelItem ||
                               !places_[k].controls.empty();
            if (alone) {
                finish();
                apply(k, false, psi, psi);
                continue;
            }
            const int f = collect(item, item.factor_begin);
            if (f < item.factor_end) {
                finish();
                follow(k, f, false, psi, psi);
            } else if (!identity_ && waiting >= 0 && apart(places_[waiting], places_[k])) {
                kernels_.trajectories->apply_two(view_, both(waiting, k), matrix, product_, psi);
                waiting = -1;
            } else if (!identity_) {
                finish();
                std::copy_n(product_, kMatrix, matrix);
                waiting = k;
            }
        }
        finish();
    }

    void apply(int k, bool back, const T* from, T* to) {
        const Item& item = program_.items[static_cast<size_t>(k)];
        if (item.kind == kMatrixItem) {
            apply_matrix(k, false, back, dense_[item.dense].data(), from, to);
            return;
        }
        if (item.kind == kChannelItem) {
            const int32_t choice = program_.dense[static_cast<size_t>(item.dense)].choice;
            if (!choices_.decide(choice)) decide_by(k, choice, from);
            const T* lanes = choices_.lanes(choice);
            if (lanes || from != to) apply_or_copy(k, back, lanes, from, to);
            return;
        }
        follow(k, collect(item, item.factor_begin), back, from, to);
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
        const int64_t runs = view_.num_vectors() / length;
        double* sums = runs_.zeros(runs * W);
        kernels_.trajectories->squares(view_, psi, length, sums);
        for (int l = 0; l < count_; ++l) {
            double whole = 0;
            for (int64_t run = 0; run < runs; ++run) whole += sums[run * W + l];
            each_row(l, [&](int64_t row) {
                const double number = call_.numbers(row).at(program_.num_draws);
                const uint64_t address = drawn(psi, sums, length, l, whole * number);
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

    void choose() {
        Numbers numbers[W];
        for (int l = 0; l < count_; ++l)
            numbers[l] = call_.numbers(ways_ ? rows_[ways_[l].begin] : first_ + l);
        choices_.begin(numbers, count_);
    }

    // Calls visit(row) for the rows of a lane.
    template <class Visit>
    void each_row(int lane, Visit visit) const {
        if (!ways_) return visit(first_ + lane);
        for (int64_t k = ways_[lane].begin; k < ways_[lane].end; ++k) visit(rows_[k]);
    }

    // Where the cumulative |psi|^2 of a lane passes the bound; sums are those of runs.
    uint64_t drawn(const T* psi, const double* sums, int64_t length, int lane, double bound) const {
        const int64_t last = view_.num_vectors() / length - 1;
        int64_t run = 0;
        for (; run < last && sums[run * W + lane] <= bound; ++run) bound -= sums[run * W + lane];
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

    // What was collected of an item up to factor f, and all behind it.
    void follow(int k, int f, bool back, const T* from, T* to) {
        const Item& item = program_.items[static_cast<size_t>(k)];
        for (;; from = to, f = collect(item, f)) {
            if (!identity_ || from != to)
                apply_or_copy(k, back, identity_ ? nullptr : product_, from, to);
            if (f == item.factor_end) return;
            decide_by(k, program_.factors[static_cast<size_t>(f)].choice, to);
        }
    }

    void decide_by(int k, int32_t choice, const T* psi) {
        const size_t entries = program_.choices[static_cast<size_t>(choice)].entries;
        T* sums = sums_.get(static_cast<int64_t>(2 * W * entries));
        kernels_.trajectories->contract(view_, places_[k], psi, psi, sums);
        choices_.decide_by(choice, sums);
    }

    // Whether each leaves the value of the other's qubit.
    static bool apart(const Place& a, const Place& b) {
        return !parity(a.rows[0] & b.masks[0]) && !parity(b.rows[0] & a.masks[0]);
    }

    const Place& both(int a, int b) {
        auto [found, missing] = pairs_.try_emplace({a, b});
        if (missing) found->second = together(places_[a], places_[b]);
        return found->second;
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
        const T* lanes = choices_.lanes(factor.choice);
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
            if (factor.choice >= 0 && !choices_.decide(factor.choice)) return f;
            if (!matrix_of(factor, identity_ ? product_ : own)) continue;
            if (!identity_) kernels_.trajectories->multiply(own, false, product_);
            identity_ = false;
        }
        return f;
    }

    const TrajectoryCall<T>& call_;
    const Program& program_;
    const Kernels<T>& kernels_;
    const View<T>& view_;
    const Place* places_;
    const std::vector<T>* dense_;
    Choices<T> choices_;
    int64_t size_, first_ = 0;   // the row whose angles the first lane takes
    int count_ = 0;              // lanes in use
    const Way* ways_ = nullptr;  // [lanes]; null: a row each
    const int64_t* rows_ = nullptr;
    T* product_ = nullptr;
    bool identity_ = true;
    std::map<std::pair<int, int>, Place> pairs_;  // of items
    Reusable<T> states_, waiting_, own_, factors_, sums_, weights_;
    Reusable<double> runs_;
};

}  // namespace
}  // namespace qsim::cpu
