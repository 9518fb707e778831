// Subspaces of addresses over GF(2).
#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "item.hpp"

namespace qsim {

// In reduced row echelon form: vector k alone has the bit pivots[k].
struct Subspace {
    std::vector<uint64_t> vectors, pivots;

    size_t size() const { return vectors.size(); }

    uint64_t reduced(uint64_t mask) const {
        for (size_t k = 0; k < vectors.size(); ++k) {
            if (mask & pivots[k]) mask ^= vectors[k];
        }
        return mask;
    }

    void include(uint64_t mask) {
        mask = reduced(mask);
        if (mask == 0) return;
        const uint64_t pivot = uint64_t{1} << (63 - __builtin_clzll(mask));
        for (uint64_t& vector : vectors) {
            if (vector & pivot) vector ^= mask;
        }
        vectors.push_back(mask);
        pivots.push_back(pivot);
    }

    // Up to `size` dimensions of `among`, by unit vectors, low addresses first; then in the order
    // of the pivots.
    void complete(size_t size, int among) {
        for (int q = 0; q < among && vectors.size() < size; ++q) include(uint64_t{1} << q);
        std::vector<std::pair<uint64_t, uint64_t>> sorted;
        for (size_t k = 0; k < vectors.size(); ++k) sorted.emplace_back(pivots[k], vectors[k]);
        std::sort(sorted.begin(), sorted.end());
        for (size_t k = 0; k < sorted.size(); ++k) std::tie(pivots[k], vectors[k]) = sorted[k];
    }

    uint64_t all_pivots() const {
        uint64_t all = 0;
        for (uint64_t pivot : pivots) all |= pivot;
        return all;
    }

    uint64_t coordinates(uint64_t mask) const {
        uint64_t local = 0;
        for (size_t k = 0; k < pivots.size(); ++k) local |= uint64_t{(mask & pivots[k]) != 0} << k;
        return local;
    }

    // The functional parity(row & .) in these coordinates.
    uint64_t functional(uint64_t row) const {
        uint64_t local = 0;
        for (size_t k = 0; k < vectors.size(); ++k) local |= parity(row & vectors[k]) << k;
        return local;
    }
};

}  // namespace qsim
