// What the lanes of a block choose of their channels.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "memory.hpp"
#include "trajectories.hpp"

namespace qsim::cpu {
namespace {

constexpr int32_t kOpen = -1;  // the state decides
constexpr double kRounding = 1e-9;

// Below the sum of the least probabilities, a number chooses whatever the state is.
inline int32_t chosen_by(const Choice& choice, double number) {
    const auto last = static_cast<int32_t>(choice.least.size()) - 1;
    double beyond = 1;
    for (int32_t k = 0; k <= last; ++k) {
        const double least = choice.least[static_cast<size_t>(k)];
        if (number < least) return k;
        number -= least, beyond -= least;
    }
    return beyond < kRounding ? last : kOpen;
}

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

template <class T>
class Choices {
    static constexpr int W = kLanes<T>;

  public:
    // plain [choices]: operators that do nothing.
    Choices(const Program& program, const std::vector<uint8_t>* plain)
        : program_(program),
          plain_(plain),
          decided_(static_cast<size_t>(program.num_draws)),
          chosen_(decided_.size() * W),
          scales_(decided_.size() * W) {}

    // So many lanes, with numbers of their own.
    void begin(const Numbers* numbers, int count) {
        std::copy_n(numbers, count, numbers_);
        count_ = count;
        std::fill(decided_.begin(), decided_.end(), uint8_t{0});
    }

    // The first operators.
    void lead() {
        std::fill(decided_.begin(), decided_.end(), uint8_t{1});
        std::fill(chosen_.begin(), chosen_.end(), 0);
        std::fill(scales_.begin(), scales_.end(), T(1));
    }

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

    // The lanes that were left open choose by their states: sums are density matrices of what the
    // channel acts on, lanes, not normalised.
    void decide_by(int32_t number, const T* sums) {
        const Choice& choice = program_.choices[static_cast<size_t>(number)];
        const auto draw = static_cast<size_t>(choice.draw);
        const auto side = static_cast<size_t>(std::sqrt(choice.entries));
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

    // Lanes of the operators that were chosen; null if they do nothing.
    const T* lanes(int32_t number) {
        const Choice& choice = program_.choices[static_cast<size_t>(number)];
        const int32_t* operators = chosen_.data() + choice.draw * W;
        const T* scales = scales_.data() + choice.draw * W;
        bool plain = true;
        for (int l = 0; l < W; ++l)
            plain = plain && plain_[number][static_cast<size_t>(operators[l])] && scales[l] == 1;
        if (plain) return nullptr;
        T* found = lanes_.get(static_cast<int64_t>(2 * W * choice.entries));
        for (int l = 0; l < W; ++l) {
            const Complex* entries =
                choice.operators.data() + static_cast<size_t>(operators[l]) * choice.entries;
            for (size_t e = 0; e < choice.entries; ++e) {
                found[2 * W * e + static_cast<size_t>(l)] =
                    scales[l] * static_cast<T>(entries[e].real());
                found[2 * W * e + W + static_cast<size_t>(l)] =
                    scales[l] * static_cast<T>(entries[e].imag());
            }
        }
        return found;
    }

  private:
    const Program& program_;
    const std::vector<uint8_t>* plain_;
    int count_ = 0;
    Numbers numbers_[W];
    std::vector<uint8_t> decided_;  // [draws]
    std::vector<int32_t> chosen_;   // [draws][W]
    std::vector<T> scales_;         // [draws][W]
    Reusable<T> lanes_;
};

}  // namespace
}  // namespace qsim::cpu
