// Vectors as wide as the registers of the instruction set. Everything is in anonymous namespaces:
// the same names are compiled for several instruction sets.
#pragma once

#include <cstdint>
#include <cstring>

#define KERNELS_INLINE [[gnu::always_inline]] inline

namespace kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr int kLanes = kBytes / static_cast<int>(sizeof(float));
// Of a tile of results that fits into the registers (32 with AVX-512, else 16), in rows of two
// vectors.
constexpr int kTileRows = kBytes == 64 ? 12 : 6;
constexpr int kTileVectors = 2;
constexpr int kTileColumns = kTileVectors * kLanes;

typedef float Vector __attribute__((vector_size(kBytes)));

KERNELS_INLINE Vector load(const float* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

KERNELS_INLINE void store(float* to, const Vector& v) { std::memcpy(to, &v, sizeof v); }

KERNELS_INLINE Vector splat(float value) { return Vector{} + value; }

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

inline int64_t rounded_up(int64_t size, int64_t multiple) {
    return (size + multiple - 1) / multiple * multiple;
}

inline void copy(const float* from, int64_t count, float* to) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

inline void zero(float* to, int64_t count) {
    std::memset(to, 0, static_cast<size_t>(count) * sizeof(float));
}

}  // namespace
}  // namespace kernels
