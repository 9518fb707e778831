// Threads and memory, compiled once for all instruction sets.
#pragma once

#include <cstdint>

namespace kernels {

// Memory for floats, aligned to cache lines, not initialised.
class Scratch {
  public:
    explicit Scratch(int64_t floats);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    float* get() const { return data_; }

  private:
    float* data_;
};

// function(context, thread) for threads 0, which is the caller, to count - 1: the team of qsim's
// engine, whose headers are not for code that is compiled for several instruction sets.
void run_team(int count, void (*function)(void* context, int thread), void* context);

// work(unit, thread) for all units, by up to `threads` threads with a part of the units each.
template <class Work>
void parallel_for(int threads, int64_t units, Work work) {
    if (threads <= 1 || units <= 1) {
        for (int64_t unit = 0; unit < units; ++unit) work(unit, 0);
        return;
    }
    struct Shared {
        Work& work;
        int64_t units, count;
    } shared{work, units, units < threads ? units : threads};
    const auto part = [](void* context, int thread) {
        const Shared& all = *static_cast<Shared*>(context);
        const int64_t end = all.units * (thread + 1) / all.count;
        for (int64_t unit = all.units * thread / all.count; unit < end; ++unit)
            all.work(unit, thread);
    };
    run_team(static_cast<int>(shared.count), part, &shared);
}

}  // namespace kernels
