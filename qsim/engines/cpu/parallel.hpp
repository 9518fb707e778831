// Work spread over threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace qsim::cpu {

// Something to do for each thread of a team: function(context, thread).
struct TeamWork {
    void (*function)(void* context, int thread);
    void* context;
};

// Does the work for threads 0 (the caller) to count - 1, and returns when all are done.
void run_team(int count, const TeamWork& work);

// work(unit, thread) for all units, by up to `threads` threads.
template <class Work>
void parallel_for(int threads, int64_t units, Work work) {
    if (threads == 1 || units <= 1) {
        for (int64_t unit = 0; unit < units; ++unit) work(unit, 0);
        return;
    }
    struct Shared {
        Work& work;
        const int64_t units;
        std::atomic<int64_t> next;
    } shared{work, units, 0};
    const auto share = [](void* context, int thread) {
        auto& all = *static_cast<Shared*>(context);
        for (int64_t unit = all.next++; unit < all.units; unit = all.next++) all.work(unit, thread);
    };
    run_team(static_cast<int>(units < threads ? units : threads), {share, &shared});
}

}  // namespace qsim::cpu
