#include "support.hpp"

#include <new>
#include <thread>
#include <vector>

namespace kernels {

namespace {
constexpr std::align_val_t kCacheLine{64};
}

Scratch::Scratch(int64_t floats)
    : data_(static_cast<float*>(
          ::operator new(static_cast<size_t>(floats) * sizeof(float), kCacheLine))) {}

Scratch::~Scratch() { ::operator delete(data_, kCacheLine); }

void run_team(int count, const Team& team) {
    std::vector<std::thread> others;
    for (int thread = 1; thread < count; ++thread)
        others.emplace_back([&team, thread] { team.function(team.context, thread); });
    if (count > 0) team.function(team.context, 0);
    for (std::thread& other : others) other.join();
}

}  // namespace kernels
