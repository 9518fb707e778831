// What trajectories of a sample have in common. The numbers they choose by are known beforehand,
// and a number below the least probability of the first operator chooses that one in any state: up
// to the first number beyond, all go the same way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "parallel.hpp"
#include "trajectory_block.hpp"

namespace qsim::cpu {

// A choice, at the first item that makes it.
struct Crossing {
    int item;
    int64_t draw;
    double least;  // of the first operator
};

// In the order of items.
inline std::vector<Crossing> crossings(const Program& program) {
    std::vector<Crossing> found;
    std::vector<uint8_t> seen(static_cast<size_t>(program.num_draws));
    const auto add = [&](int item, int32_t number) {
        if (number < 0) return;
        const Choice& choice = program.choices[static_cast<size_t>(number)];
        if (seen[static_cast<size_t>(choice.draw)]++) return;
        found.push_back({item, choice.draw, choice.least[0]});
    };
    for (int k = 0; k < static_cast<int>(program.items.size()); ++k) {
        const Item& item = program.items[static_cast<size_t>(k)];
        if (item.kind == kMatrixItem) continue;
        if (item.kind == kChannelItem) {
            add(k, program.dense[static_cast<size_t>(item.dense)].choice);
            continue;
        }
        for (int f = item.factor_begin; f < item.factor_end; ++f)
            add(k, program.factors[static_cast<size_t>(f)].choice);
    }
    return found;
}

// Rows of each sample, those first that leave the common way first.
struct Order {
    std::vector<int64_t> rows;   // by position
    std::vector<int32_t> leave;  // by position: at which item

    template <class T>
    explicit Order(const TrajectoryCall<T>& call)
        : rows(static_cast<size_t>(call.angles.batch)), leave(rows.size()) {
        const std::vector<Crossing> choices = crossings(call.program);
        const auto end = static_cast<int32_t>(call.program.items.size());
        std::vector<int32_t> items(rows.size());  // by row
        std::iota(rows.begin(), rows.end(), 0);
        parallel_for(call.threads, call.angles.batch / call.trajectories, [&](int64_t s, int) {
            const int64_t begin = s * call.trajectories, behind = begin + call.trajectories;
            for (int64_t row = begin; row < behind; ++row) {
                const auto found = std::find_if(choices.begin(), choices.end(), [&](const auto& c) {
                    return call.number(row, c.draw) >= c.least;
                });
                items[static_cast<size_t>(row)] = found == choices.end() ? end : found->item;
            }
            const auto item = [&](int64_t row) { return items[static_cast<size_t>(row)]; };
            std::stable_sort(rows.begin() + begin, rows.begin() + behind,
                             [&](int64_t a, int64_t b) { return item(a) < item(b); });
            std::transform(rows.begin() + begin, rows.begin() + behind, leave.begin() + begin,
                           item);
        });
    }

    static int64_t bytes(int64_t rows) {
        return rows * static_cast<int64_t>(sizeof(int64_t) + 2 * sizeof(int32_t));
    }
};

// The state that trajectories of a sample have in common, on its way.
template <class T>
class Leader {
  public:
    template <class Implementation>
    explicit Leader(const Implementation& run) : block_(run) {}

    // The state before an item in the lanes of a block, all of them of this sample; items must not
    // fall as long as the sample is the same.
    const T* before(int item, int64_t block, int64_t sample) {
        T* psi = block_.states(1);
        if (sample != sample_) {
            block_.lead(block);
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

}  // namespace qsim::cpu
