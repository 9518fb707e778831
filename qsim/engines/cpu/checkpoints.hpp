// The way back of a block where steps cannot be undone: states before the steps that want a
// gradient are kept, in segments if they are many, of which only the beginnings stay.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace qsim::cpu {

// Memory for what a thread keeps of the way forward: twice an outer cache. Where it does not
// suffice, parts of the way are gone twice.
constexpr int64_t kKeptBytes = int64_t{1} << 21;

struct Route {
    std::vector<int> wanted;  // steps that want a gradient
    int64_t at_once, segments;

    Route(std::vector<int> steps, int64_t state_bytes) : wanted(std::move(steps)) {
        const auto count = static_cast<int64_t>(wanted.size());
        const int64_t fitting = kKeptBytes / state_bytes;
        const auto root = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
        at_once = std::max<int64_t>(1, count <= fitting ? count : std::max(fitting, root));
        segments = (count + at_once - 1) / at_once;
    }

    // States that are kept, lambda besides.
    int64_t states() const { return at_once + std::max<int64_t>(1, segments); }
};

// From the final lambda to the first step that wants a gradient, or `to_start`. `kept` has room for
// what the route keeps, `size` numbers a state. A block has start(state), forward(begin, end,
// state), apply(step, back, from, to) and differentiate(step, place, given, lambda, out), which
// goes back, too.
template <class Block, class T, class Out>
void go_back(Block& block, int num_steps, int64_t size, const Route& route, bool to_start, T* kept,
             T* lambda, const Out& out) {
    const auto count = static_cast<int64_t>(route.wanted.size());
    const auto wanted = [&](int64_t k) { return route.wanted[static_cast<size_t>(k)]; };
    T *marks = kept, *states = kept + std::max<int64_t>(0, route.segments - 1) * size;
    // The state before the first step of each segment: marks, the last one in states.
    for (int64_t segment = 0; segment < route.segments; ++segment) {
        T* here = segment + 1 == route.segments ? states : marks + segment * size;
        const int64_t first = segment * route.at_once;
        if (segment == 0) {
            block.start(here);
            block.forward(0, wanted(0), here);
        } else {
            const int before = wanted(first - route.at_once);
            block.apply(before, false, marks + (segment - 1) * size, here);
            block.forward(before + 1, wanted(first), here);
        }
    }
    int next = num_steps;
    for (int64_t segment = route.segments - 1; segment >= 0; --segment) {
        const int64_t first = segment * route.at_once;
        const int64_t last = std::min(count, first + route.at_once);
        if (segment + 1 < route.segments)
            std::memcpy(states, marks + segment * size, sizeof(T) * static_cast<size_t>(size));
        for (int64_t k = first + 1; k < last; ++k) {
            T* here = states + (k - first) * size;
            block.apply(wanted(k - 1), false, here - size, here);
            block.forward(wanted(k - 1) + 1, wanted(k), here);
        }
        for (int64_t k = last - 1; k >= first; --k) {
            while (--next > wanted(k)) block.apply(next, true, lambda, lambda);
            block.differentiate(next, k, states + (k - first) * size, lambda, out);
        }
    }
    if (!to_start) return;
    while (--next >= 0) block.apply(next, true, lambda, lambda);
}

// Sums over blocks, which stand apart until all are there: results do not depend on threads.
struct Totals {
    int64_t blocks, size;
    std::vector<double> numbers;

    Totals(int64_t blocks, int64_t size)
        : blocks(blocks), size(size), numbers(static_cast<size_t>((blocks + 1) * size)) {}

    double* of(int64_t block) { return numbers.data() + block * size; }

    double* sum() {
        for (int64_t b = 0; b < blocks; ++b) {
            for (int64_t k = 0; k < size; ++k) of(blocks)[k] += of(b)[k];
        }
        return of(blocks);
    }
};

}  // namespace qsim::cpu
