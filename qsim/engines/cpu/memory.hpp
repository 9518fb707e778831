// Memory for states.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

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

// The last large piece of memory that was given back: fresh pages cost more than a sweep over them.
class Spare {
  public:
    static constexpr size_t kLeast = size_t{1} << 25, kMost = size_t{1} << 30;

    // At least this many bytes, less than twice as many; null if the spare piece is not of this
    // kind.
    void* take(size_t& bytes) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (bytes > size_ || size_ >= 2 * bytes) return nullptr;
        bytes = size_;
        size_ = 0;
        return std::exchange(data_, nullptr);
    }

    // Keeps the piece; returns the one that it replaces.
    void* keep(void* data, size_t bytes) {
        const std::lock_guard<std::mutex> lock(mutex_);
        size_ = bytes;
        return std::exchange(data_, data);
    }

    static Spare& instance() {
        static Spare* spare = new Spare;  // lives as long as threads may need it
        return *spare;
    }

  private:
    std::mutex mutex_;
    void* data_ = nullptr;
    size_t size_ = 0;
};

// Aligned to cache lines, not initialised.
template <class T>
class Buffer {
  public:
    explicit Buffer(int64_t size) : bytes_(static_cast<size_t>(size) * sizeof(T)) {
        if (bytes_ >= Spare::kLeast) data_ = static_cast<T*>(Spare::instance().take(bytes_));
        if (data_) return;
        data_ = static_cast<T*>(::operator new(bytes_, kAlignment));
        prefer_huge_pages(data_, static_cast<int64_t>(bytes_));
    }
    ~Buffer() {
        void* data = data_;
        if (bytes_ >= Spare::kLeast && bytes_ <= Spare::kMost)
            data = Spare::instance().keep(data, bytes_);
        ::operator delete(data, kAlignment);
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    T* get() { return data_; }

  private:
    static constexpr std::align_val_t kAlignment{64};
    size_t bytes_;
    T* data_ = nullptr;
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
