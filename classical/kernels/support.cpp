#include "support.hpp"

#include <new>

#include "qsim/engines/cpu/parallel.hpp"

namespace kernels {

namespace {
constexpr std::align_val_t kCacheLine{64};
}

Scratch::Scratch(int64_t floats)
    : data_(static_cast<float*>(
          ::operator new(static_cast<size_t>(floats) * sizeof(float), kCacheLine))) {}

Scratch::~Scratch() { ::operator delete(data_, kCacheLine); }

void run_team(int count, void (*function)(void* context, int thread), void* context) {
    qsim::cpu::run_team(count, {function, context});
}

}  // namespace kernels
