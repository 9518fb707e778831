// What trajectories of a sample have in common. The numbers they choose by are known beforehand,
// and a number below the sum of the least probabilities chooses whatever the state is. So those
// that choose alike end in one state, and up to the first choice of another than the first operator
// all go the same way.
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
    const Choice* choice;
};

// In the order of items.
inline std::vector<Crossing> crossings(const Program& program) {
    std::vector<Crossing> found;
    std::vector<uint8_t> seen(static_cast<size_t>(program.num_draws));
    const auto add = [&](int item, int32_t number) {
        if (number < 0) return;
        const Choice& choice = program.choices[static_cast<size_t>(number)];
        if (!seen[static_cast<size_t>(choice.draw)]++) found.push_back({item, &choice});
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

// Another operator than the first, or `kOpen`.
struct Turn {
    int32_t crossing, chosen;

    friend auto operator<=>(const Turn&, const Turn&) = default;
};

// The turns of a sample's trajectories, up to the first open one. Each ends with one beyond all.
class Turns {
  public:
    template <class T>
    Turns(const TrajectoryCall<T>& call, const std::vector<Crossing>& crossings, int64_t sample) {
        const int64_t first = sample * call.trajectories;
        for (int64_t row = first; row < first + call.trajectories; ++row) {
            begins_.push_back(turns_.size());
            const Numbers numbers = call.numbers(row);
            for (size_t k = 0; k < crossings.size(); ++k) {
                const Choice& choice = *crossings[k].choice;
                const double number = numbers.at(choice.draw);
                if (number < choice.least[0]) continue;
                turns_.push_back({static_cast<int32_t>(k), chosen_by(choice, number)});
                if (turns_.back().chosen == kOpen) break;
            }
            turns_.push_back({static_cast<int32_t>(crossings.size()), 0});
        }
        begins_.push_back(turns_.size());
    }

    const Turn& first(int64_t trajectory) const { return *begin(trajectory); }

    // In the order of the first turn that differs; the way without turns is the last one.
    bool before(int64_t a, int64_t b) const {
        return std::lexicographical_compare(begin(a), begin(a + 1), begin(b), begin(b + 1));
    }
    bool same(int64_t a, int64_t b) const {
        return std::equal(begin(a), begin(a + 1), begin(b), begin(b + 1)) &&
               std::none_of(begin(a), begin(a + 1),
                            [](const Turn& turn) { return turn.chosen == kOpen; });
    }

  private:
    std::vector<Turn>::const_iterator begin(int64_t trajectory) const {
        return turns_.begin() + static_cast<int64_t>(begins_[static_cast<size_t>(trajectory)]);
    }

    std::vector<Turn> turns_;
    std::vector<size_t> begins_;
};

// Trajectories of each sample by what they have in common.
struct Order {
    std::vector<int64_t> rows;  // those of a way behind one another
    std::vector<Way> ways;      // those of a sample by where they leave the common way
    std::vector<WayBlock> blocks;

    template <class T>
    explicit Order(const TrajectoryCall<T>& call) : rows(static_cast<size_t>(call.angles.batch)) {
        const std::vector<Crossing> choices = crossings(call.program);
        const int64_t samples = call.angles.batch / call.trajectories;
        std::vector<std::vector<Way>> found(static_cast<size_t>(samples));
        parallel_for(call.threads, samples, [&](int64_t sample, int) {
            const int64_t begin = sample * call.trajectories;
            const auto last = static_cast<int>(call.program.items.size());
            found[static_cast<size_t>(sample)] =
                sorted(Turns(call, choices, sample), begin, begin + call.trajectories,
                       [&](const Turn& turn) {
                           const auto place = static_cast<size_t>(turn.crossing);
                           return place < choices.size() ? choices[place].item : last;
                       });
        });
        for (int64_t sample = 0; sample < samples; ++sample)
            add(sample, found[static_cast<size_t>(sample)], kLanes<T>);
    }

    static int64_t bytes(int64_t rows) {
        return rows * static_cast<int64_t>(sizeof(int64_t) + 2 * sizeof(Way) + sizeof(WayBlock));
    }

  private:
    // The ways of one sample, whose rows are these; leave(turn): at which item.
    template <class Leave>
    std::vector<Way> sorted(const Turns& turns, int64_t begin, int64_t end, Leave leave) {
        const auto first = rows.begin() + begin, behind = rows.begin() + end;
        std::iota(first, behind, int64_t{0});
        std::stable_sort(first, behind, [&](int64_t a, int64_t b) { return turns.before(a, b); });
        std::vector<Way> found;
        for (auto place = first; place < behind; ++place) {
            const int64_t row = place - rows.begin();
            if (place == first || !turns.same(place[-1], *place))
                found.push_back({row, row, leave(turns.first(*place))});
            ++found.back().end;
        }
        std::for_each(first, behind, [&](int64_t& row) { row += begin; });
        return found;
    }

    void add(int64_t sample, const std::vector<Way>& found, int lanes) {
        const auto count = static_cast<int64_t>(found.size());
        for (int64_t k = 0; k < count; k += lanes) {
            const auto used = static_cast<int>(std::min<int64_t>(lanes, count - k));
            blocks.push_back({sample, static_cast<int64_t>(ways.size()) + k, used});
        }
        ways.insert(ways.end(), found.begin(), found.end());
    }
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

}  // namespace qsim::cpu
