// The Walsh-Hadamard transform: sums over (-1)^(row . address) for all rows.
#pragma once

#include <cstdint>

namespace qsim::cpu {
namespace {

// In place, of 2^num_bits groups of `width` numbers each; its own inverse up to 2^num_bits.
template <class T>
void walsh_hadamard(int num_bits, T* values, int width = 1) {
    const int64_t size = int64_t{width} << num_bits;
    for (int64_t half = width; half < size; half *= 2) {
        for (int64_t begin = 0; begin < size; begin += 2 * half) {
            T *a = values + begin, *b = a + half;
            for (int64_t k = 0; k < half; ++k) {
                const T sum = a[k] + b[k], difference = a[k] - b[k];
                a[k] = sum, b[k] = difference;
            }
        }
    }
}

}  // namespace
}  // namespace qsim::cpu
