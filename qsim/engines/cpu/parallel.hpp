// Work spread over threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace qsim::cpu {

// Something to do for each thread of a team: function(context, thread).
struct TeamWork {
    void (*function)(void* context, int thread);
    void* context;
};

// Does the work for threads 0 (the caller) to count - 1, and returns when all are done.
void run_team(int count, const TeamWork& work);

// Units that a thread has before it: others take some when they have none left of their own.
struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
};

// work(unit, thread) for all units, by up to `threads` threads. Each begins with a part of its own,
// the same in every call, which its caches may still hold.
template <class Work>
void parallel_for(int threads, int64_t units, Work work) {
    if (threads <= 1 || units <= 1) {
        for (int64_t unit = 0; unit < units; ++unit) work(unit, 0);
        return;
    }
    struct Shared {
        Work& work;
        std::vector<Share> shares;
    } shared{work, std::vector<Share>(static_cast<size_t>(units < threads ? units : threads))};
    const auto count = static_cast<int64_t>(shared.shares.size());
    for (int64_t thread = 0; thread < count; ++thread) {
        Share& share = shared.shares[static_cast<size_t>(thread)];
        share.next = thread * units / count;
        share.end = (thread + 1) * units / count;
    }
    const auto take = [](void* context, int thread) {
        auto& all = *static_cast<Shared*>(context);
        for (size_t k = 0; k < all.shares.size(); ++k) {
            Share& share = all.shares[(static_cast<size_t>(thread) + k) % all.shares.size()];
            for (int64_t unit = share.next++; unit < share.end; unit = share.next++)
                all.work(unit, thread);
        }
    };
    run_team(static_cast<int>(count), {take, &shared});
}

}  // namespace qsim::cpu
