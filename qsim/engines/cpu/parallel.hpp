// Work spread over threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace qsim::cpu {

// work(unit, thread) for all units, by up to `threads` threads.
template <class Work>
void parallel_for(int threads, int64_t units, Work work) {
    std::atomic<int64_t> next{0};
    const auto run = [&](int thread) {
        for (int64_t unit = next++; unit < units; unit = next++) work(unit, thread);
    };
    const int count = static_cast<int>(std::min<int64_t>(threads, units));
    std::vector<std::thread> others;
    for (int thread = 1; thread < count; ++thread) others.emplace_back(run, thread);
    run(0);
    for (std::thread& other : others) other.join();
}

}  // namespace qsim::cpu
