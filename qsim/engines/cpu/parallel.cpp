#include "parallel.hpp"

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace qsim::cpu {

namespace {

// Starting a thread costs some 40 us, waking one that sleeps not much less, one that still looks
// for work a microsecond: between the two passes of a training step they do not sleep.
constexpr std::chrono::microseconds kAwake{200};

// Looks, and lets others have the processor, until `done` or for a while.
template <class Done>
bool soon(Done done) {
    const auto end = std::chrono::steady_clock::now() + kAwake;
    do {
        for (int k = 0; k < 32; ++k)
            if (done()) return true;
        std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < end);
    return done();
}

// A thread that waits for work.
class Worker {
  public:
    explicit Worker(int thread) : thread_(thread) {
        std::thread([this] { serve(); }).detach();
    }

    void start(const TeamWork& work) {
        work_ = work;
        change(kBusy);
    }

    void wait() { wait_while(kBusy); }

  private:
    enum State : uint32_t { kIdle, kBusy };

    void serve() {
        for (;;) {
            wait_while(kIdle);
            work_.function(work_.context, thread_);
            change(kIdle);
        }
    }

    void change(State state) {
        state_.store(state, std::memory_order_release);
        state_.notify_one();
    }

    void wait_while(State state) const {
        const auto changed = [&] { return state_.load(std::memory_order_acquire) != state; };
        if (!soon(changed)) state_.wait(state, std::memory_order_acquire);
    }

    const int thread_;
    TeamWork work_{};
    alignas(64) std::atomic<uint32_t> state_{kIdle};
};

// Workers live as long as the process: at its end some may still be at work for other threads.
class Team {
  public:
    // False if somebody else has the team.
    bool run(int count, const TeamWork& work) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock) return false;
        while (static_cast<int>(workers_.size()) < count - 1)
            workers_.push_back(new Worker(static_cast<int>(workers_.size()) + 1));
        for (int k = 0; k < count - 1; ++k) workers_[static_cast<size_t>(k)]->start(work);
        work.function(work.context, 0);
        for (int k = 0; k < count - 1; ++k) workers_[static_cast<size_t>(k)]->wait();
        return true;
    }

  private:
    std::mutex mutex_;
    std::vector<Worker*> workers_;
};

std::atomic<Team*> team{new Team};

#if defined(__unix__) || defined(__APPLE__)
// A process that was forked has none of the threads: it makes a team of its own.
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] { team = new Team; });
#endif

}  // namespace

void run_team(int count, const TeamWork& work) {
    if (team.load()->run(count, work)) return;
    std::vector<std::thread> others;
    for (int thread = 1; thread < count; ++thread)
        others.emplace_back([&work, thread] { work.function(work.context, thread); });
    work.function(work.context, 0);
    for (std::thread& other : others) other.join();
}

}  // namespace qsim::cpu
