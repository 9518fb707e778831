// Maps on one qubit in the Pauli basis: numbers, or vectors with one map for each lane.
#pragma once

#include <vector>

#include "transfer.hpp"

namespace qsim::cpu {
namespace {

template <class V>
inline Rows<V> identity_rows() {
    Rows<V> one{};
    for (int i = 0; i < 3; ++i) one[5 * i + 1] = V{} + 1;
    return one;
}

// The second map after the first one.
template <class V>
inline Rows<V> product(const Rows<V>& second, const Rows<V>& first) {
    Rows<V> both;
    for (int i = 0; i < 12; i += 4) {
        for (int j = 0; j < 4; ++j) {
            both[i + j] = second[i + 1] * first[j] + second[i + 2] * first[4 + j] +
                          second[i + 3] * first[8 + j];
        }
        both[i] += second[i];
    }
    return both;
}

// A factor's map from cosine and sine of its angle, which only count where it has one.
template <class T, class V>
inline Rows<V> factor_rows(const TransferFactor& factor, const V& cosine, const V& sine) {
    Rows<V> rows;
    for (int e = 0; e < 12; ++e) {
        rows[e] = static_cast<T>(factor.constant[e]) + static_cast<T>(factor.cosine[e]) * cosine +
                  static_cast<T>(factor.sine[e]) * sine;
    }
    return rows;
}

// Derivatives in the angles of a product M of maps, the first one first: out(k, d) with
// d = <sums, dM / dangle_k>. With M = L F R it is <L^T sums R^T, dF>.
template <class T, class V, class Read, class Out>
inline void chain_gradient(const TransferFactor* factors, const std::vector<Rows<V>>& maps,
                           const Rows<V>& sums, Read read, Out out) {
    const auto count = static_cast<int>(maps.size());
    std::vector<Rows<V>> before(maps.size(), identity_rows<V>());
    for (int k = 1; k < count; ++k) before[k] = product(maps[k - 1], before[k - 1]);
    Rows<V> left = sums;
    for (int k = count - 1; k >= 0; --k) {
        if (factors[k].angle.source != kConstant) {
            V cosine, sine, total{};
            read(k, cosine, sine);
            for (int i = 0; i < 12; i += 4) {
                for (int j = 0; j < 4; ++j) {
                    const V change = static_cast<T>(factors[k].sine[i + j]) * cosine -
                                     static_cast<T>(factors[k].cosine[i + j]) * sine;
                    const Rows<V>& right = before[k];
                    const int row = 4 * (j - 1);
                    total +=
                        change *
                        (j == 0 ? left[i]
                                : left[i] * right[row] + left[i + 1] * right[row + 1] +
                                      left[i + 2] * right[row + 2] + left[i + 3] * right[row + 3]);
                }
            }
            out(k, total);
        }
        Rows<V> next;
        for (int i = 0; i < 3; ++i) {
            for (int j = 0; j < 4; ++j) {
                next[4 * i + j] = maps[k][i + 1] * left[j] + maps[k][5 + i] * left[4 + j] +
                                  maps[k][9 + i] * left[8 + j];
            }
        }
        left = next;
    }
}

}  // namespace
}  // namespace qsim::cpu
