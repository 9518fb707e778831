// Memory for states.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace qsim::cpu {

// Strides of a large state touch a page for every vector or two: ask for large pages, before the
// first touch.
inline void prefer_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__)
    constexpr auto kPage = uintptr_t{1} << 21;
    const auto begin = (reinterpret_cast<uintptr_t>(data) + kPage - 1) & ~(kPage - 1);
    const auto end =
        (reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(bytes)) & ~(kPage - 1);
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

// Aligned to cache lines, not initialised.
template <class T>
class Buffer {
  public:
    explicit Buffer(int64_t size)
        : data_(static_cast<T*>(
              ::operator new(static_cast<size_t>(size) * sizeof(T), std::align_val_t{64}))) {
        prefer_huge_pages(get(), size * static_cast<int64_t>(sizeof(T)));
    }
    T* get() { return data_.get(); }

  private:
    struct Delete {
        void operator()(T* data) const { ::operator delete(data, std::align_val_t{64}); }
    };
    std::unique_ptr<T, Delete> data_;
};

// Memory that is asked for again and again.
template <class T>
class Reusable {
  public:
    // At least this many, with whatever was left there.
    T* get(int64_t size) {
        if (size > size_) {
            buffer_ = std::make_unique<Buffer<T>>(size);
            size_ = size;
        }
        return buffer_ ? buffer_->get() : nullptr;
    }

    T* zeros(int64_t size) {
        T* data = get(size);
        if (size) std::memset(data, 0, sizeof(T) * static_cast<size_t>(size));
        return data;
    }

  private:
    std::unique_ptr<Buffer<T>> buffer_;
    int64_t size_ = 0;
};

}  // namespace qsim::cpu
