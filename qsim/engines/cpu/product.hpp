// The first gate of each qubit, where |0...0> is what it meets: the product state that these leave
// is written down at once, and their gradients are contractions of lambda with it.
#pragma once

#include "matrices.hpp"

namespace qsim::cpu {
namespace {

// Vectors of complex numbers, as in states: re[W], im[W].
template <class T>
struct Complexes {
    using V = typename Shape<T>::V;
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;

    static void one(T* to) {
        for (int l = 0; l < W; ++l) to[l] = 1, to[W + l] = 0;
    }
    // to = a b; all may be the same.
    QSIM_INLINE static void multiply(const T* a, const T* b, T* to) {
        for (int c = 0; c < C * N; c += N) {
            const V ar = load<V>(a + c), ai = load<V>(a + W + c);
            const V br = load<V>(b + c), bi = load<V>(b + W + c);
            store(to + c, ar * br - ai * bi);
            store(to + W + c, ar * bi + ai * br);
        }
    }
    // to += a b, or to += conj(a) b.
    template <bool CONJUGATED>
    QSIM_INLINE static void add_product(const T* a, const T* b, T* to) {
        for (int c = 0; c < C * N; c += N) {
            const V ar = load<V>(a + c), br = load<V>(b + c), bi = load<V>(b + W + c);
            const V ai = CONJUGATED ? -load<V>(a + W + c) : load<V>(a + W + c);
            store(to + c, load<V>(to + c) + ar * br - ai * bi);
            store(to + W + c, load<V>(to + W + c) + ar * bi + ai * br);
        }
    }
};

template <class T>
class Product {
    using Z = Complexes<T>;
    static constexpr int W = Shape<T>::W, kSize = 2 * W;
    static constexpr int kMostQubits = 48;

  public:
    Product(const View<T>& view, const T* own)
        : view_(view),
          place_bits_(view.num_qubits - view.lane_bits),
          chunk_bits_(place_bits_ < kChunkBits ? place_bits_ : kChunkBits) {
        for (int q = 0; q < view.num_qubits; ++q) read_factor(q, own);
        Z::one(lanes_);
        for (int q = 0; q < view.lane_bits; ++q) Z::multiply(lanes_, lane_factor(q), lanes_);
    }

    // Vectors begin to end of the state.
    void start(int64_t begin, int64_t end, T* psi) const {
        alignas(64) T table[kSize << kChunkBits], scale[kSize];
        fill_table(table);
        for (int64_t chunk = begin; chunk < end; chunk += size()) {
            set_scale(chunk, scale);
            for (int64_t j = 0; j < size(); ++j)
                Z::multiply(table + kSize * j, scale, psi + kSize * (chunk + j));
        }
    }

    // With conj(lambda) for vectors begin to end: chunks[chunk] becomes its product with the state
    // of the lower qubits, and within[j] grows by that with the state of the higher ones.
    void contract(int64_t begin, int64_t end, const T* lambda, T* chunks, T* within) const {
        alignas(64) T table[kSize << kChunkBits], scale[kSize];
        fill_table(table);
        for (int64_t chunk = begin; chunk < end; chunk += size()) {
            set_scale(chunk, scale);
            T* total = chunks + kSize * (chunk >> chunk_bits_);
            std::memset(total, 0, sizeof(T) * kSize);
            for (int64_t j = 0; j < size(); ++j) {
                const T* from = lambda + kSize * (chunk + j);
                Z::template add_product<true>(from, table + kSize * j, total);
                Z::template add_product<true>(from, scale, within + kSize * j);
            }
        }
    }

    // From these to the sums of the qubits' items; both are overwritten. The table of the lower
    // qubits has the lanes' amplitudes in it, those of `within` still come.
    void add_sums(T* chunks, T* within, T* scratch, T* sums) const {
        alignas(64) T nothing[kSize];
        Z::one(nothing);
        add_place_sums(view_.lane_bits + chunk_bits_, place_bits_ - chunk_bits_, nothing, chunks,
                       scratch, sums);
        add_place_sums(view_.lane_bits, chunk_bits_, lanes_, within, scratch, sums);
        add_lane_sums(within, sums);
    }

  private:
    int64_t size() const { return int64_t{1} << chunk_bits_; }

    // Amplitudes of a qubit's 0 and 1 in all lanes.
    void read_factor(int q, const T* own) {
        const int32_t k = view_.product[q];
        for (int bit = 0; bit < 2; ++bit) {
            T* to = factors_[q][bit];
            if (k < 0) {
                for (int l = 0; l < W; ++l) to[l] = bit ? T(0) : T(1), to[W + l] = 0;
                continue;
            }
            const int flip = view_.items[k].flip, entry = 2 * (bit ^ flip) + flip;
            for (int part = 0; part < 2; ++part) {
                for (int l = 0; l < W; ++l) {
                    to[part * W + l] = view_.batched[k]
                                           ? own[(int64_t{8} * k + 2 * entry + part) * W + l]
                                           : view_.shared[8 * k + 2 * entry + part];
                }
            }
        }
    }

    // Of a qubit within the lanes: each lane's own amplitude.
    const T* lane_factor(int q) {
        for (int l = 0; l < kSize; ++l) lane_[l] = factors_[q][(l % W) >> q & 1][l];
        return lane_;
    }

    void fill_table(T* table) const {
        std::memcpy(table, lanes_, sizeof(T) * kSize);
        double_up(view_.lane_bits, chunk_bits_, table);
    }

    // From the state of no qubit in the first vector to that of `count` qubits.
    void double_up(int first, int count, T* table) const {
        for (int q = 0; q < count; ++q) {
            const int64_t half = int64_t{1} << q;
            for (int64_t j = 0; j < half; ++j) {
                Z::multiply(table + kSize * j, factors_[first + q][1], table + kSize * (half + j));
                Z::multiply(table + kSize * j, factors_[first + q][0], table + kSize * j);
            }
        }
    }

    void set_scale(int64_t chunk, T* scale) const {
        Z::one(scale);
        for (int b = chunk_bits_; b < place_bits_; ++b)
            Z::multiply(scale, factors_[view_.lane_bits + b][chunk >> b & 1], scale);
    }

    // Qubits first to first + count, one after another from the highest: its sums, then it is
    // contracted away. In the end the first vector has what is left.
    void add_place_sums(int first, int count, const T* start, T* values, T* scratch,
                        T* sums) const {
        for (int q = count - 1; q >= 0; --q) {
            const int64_t half = int64_t{1} << q;
            std::memcpy(scratch, start, sizeof(T) * kSize);
            double_up(first, q, scratch);
            alignas(64) T overlaps[2][kSize]{};
            for (int64_t j = 0; j < half; ++j) {
                T *low = values + kSize * j, *high = values + kSize * (half + j);
                Z::template add_product<false>(low, scratch + kSize * j, overlaps[0]);
                Z::template add_product<false>(high, scratch + kSize * j, overlaps[1]);
                Z::multiply(low, factors_[first + q][0], low);
                Z::template add_product<false>(high, factors_[first + q][1], low);
            }
            for (int l = 0; l < W; ++l) {
                for (int bit = 0; bit < 2; ++bit) add_to(first + q, bit, l, overlaps[bit], sums);
            }
        }
    }

    void add_lane_sums(const T* left, T* sums) const {
        for (int q = 0; q < view_.lane_bits; ++q) {
            alignas(64) T overlap[kSize];
            for (int l = 0; l < W; ++l) {
                T re = left[l], im = left[W + l];
                for (int other = 0; other < view_.lane_bits; ++other) {
                    if (other == q) continue;
                    const T* factor = factors_[other][l >> other & 1];
                    const T r = re * factor[l] - im * factor[W + l];
                    im = re * factor[W + l] + im * factor[l];
                    re = r;
                }
                overlap[l] = re, overlap[W + l] = im;
            }
            for (int l = 0; l < W; ++l) add_to(q, l >> q & 1, l, overlap, sums);
        }
    }

    // Im<lambda|P|psi> of a lane, for the qubit's I, X, Y, Z, from what lambda leaves at this bit.
    void add_to(int q, int bit, int lane, const T* overlap, T* sums) const {
        const int32_t k = view_.product[q];
        if (k < 0) return;
        T* to = sums + int64_t{4} * W * k + lane;
        const T re = overlap[lane], im = overlap[W + lane];
        const T *same = factors_[q][bit], *other = factors_[q][1 - bit];
        const T diagonal = re * same[W + lane] + im * same[lane];
        const T sign = (bit ^ view_.items[k].flip) ? T(-1) : T(1);
        to[0] += diagonal;
        to[W] += re * other[W + lane] + im * other[lane];
        to[2 * W] -= sign * (re * other[lane] - im * other[W + lane]);
        to[3 * W] += sign * diagonal;
    }

    const View<T>& view_;
    const int place_bits_, chunk_bits_;
    alignas(64) T factors_[kMostQubits][2][kSize];
    alignas(64) T lanes_[kSize], lane_[kSize];
};

template <class T>
struct Products {
    static void start(const View<T>& view, const T* own, int64_t begin, int64_t end, T* psi) {
        Product<T>(view, own).start(begin, end, psi);
    }
    static void contract(const View<T>& view, const T* own, int64_t begin, int64_t end,
                         const T* lambda, T* chunks, T* within) {
        Product<T>(view, own).contract(begin, end, lambda, chunks, within);
    }
    static void add_sums(const View<T>& view, const T* own, T* chunks, T* within, T* scratch,
                         T* sums) {
        Product<T>(view, own).add_sums(chunks, within, scratch, sums);
    }
};

}  // namespace
}  // namespace qsim::cpu
