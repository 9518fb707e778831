// Sections of a tape: entries one after another in one piece of memory.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tape.cuh"

namespace qsim::cuda {

// Adds the entries; returns where they begin.
template <class Entry>
u32 append_section(std::string& bytes, const std::vector<Entry>& entries) {
    bytes.resize((bytes.size() + 15) / 16 * 16);
    const size_t at = bytes.size();
    if (at + entries.size() * sizeof(Entry) > UINT32_MAX)
        throw std::length_error("the circuit is too long for the GPU engine");
    bytes.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
    return static_cast<u32>(at);
}

// Adds the uses of a source's parameters, one parameter after another; returns where each begins.
// `angle_of` a factor gives its angle.
template <class Act, class AngleOf>
std::vector<int> collect_uses(const std::vector<Act>& acts, int source, int count, AngleOf angle_of,
                              std::vector<Use>& uses) {
    std::vector<std::vector<Use>> found(static_cast<size_t>(count));
    for (int a = 0; a < static_cast<int>(acts.size()); ++a) {
        for (int f = acts[a].factor_begin; f < acts[a].factor_end; ++f) {
            const auto& angle = angle_of(f);
            if (angle.source == source) found[angle.index].push_back({a, f});
        }
    }
    std::vector<int> begins{static_cast<int>(uses.size())};
    for (const auto& of_one : found) {
        uses.insert(uses.end(), of_one.begin(), of_one.end());
        begins.push_back(static_cast<int>(uses.size()));
    }
    return begins;
}

}  // namespace qsim::cuda
