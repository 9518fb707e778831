// Tiles, and which of their vectors an operation visits.
#pragma once

#include "matrices.hpp"

namespace qsim::cpu {
namespace {

// One tile: the address of its first vector, and where in the buffer its vectors stand.
struct Tile {
    uint64_t base;
    const int64_t* at;

    // From any vector to the one at its index ^ mask: at[index ^ mask] = at[index] ^ step(mask).
    int64_t step(unsigned mask) const { return at[0] ^ at[mask]; }
};

// Calls visit(tile) for every tile of the sweep, on the buffer of a stage's coset at `place`.
template <class T, class Visit>
void each_tile(const View<T>& view, const Stage& stage, uint64_t place, const Sweep& sweep,
               Visit visit) {
    int64_t at[1 << kMostTileBits];
    const uint64_t* offsets = view.offsets + sweep.offset_begin;
    const uint64_t* vectors = view.vectors + stage.vector_begin;
    const uint64_t size = uint64_t{1} << stage.bits;
    for (uint64_t base = 0; base < size; base = ((base | sweep.pivots) + 1) & ~sweep.pivots) {
        for (int j = 0; j < 1 << sweep.bits; ++j)
            at[j] = static_cast<int64_t>(base ^ offsets[j]) * 2 * Shape<T>::W;
        uint64_t first = place;
        for (uint64_t rest = base; rest; rest &= rest - 1) first ^= vectors[__builtin_ctzll(rest)];
        visit(Tile{first << view.lane_bits, at});
    }
}

// Of a qubit at an address, but for lanes.
inline uint32_t value(uint64_t row, uint8_t flip, uint64_t address) {
    return static_cast<uint32_t>(parity(row & address)) ^ flip;
}

// Calls visit(first index, last index, key) for the segments of an operation on one or two items;
// the key is what Segment has, the tile's place taken into account.
template <class T, class Visit>
void each_segment(const View<T>& view, const Operation& operation, uint64_t base, Visit visit) {
    const Item& item = view.items[operation.first];
    uint32_t key = value(item.row, item.flip, base);
    if (operation.pass == kQuads) {
        const Item& other = view.items[operation.second];
        key |= value(other.row, other.flip, base) << 1;
    }
    for (int c = 0; c < item.num_controls(); ++c) {
        const Control& control = view.controls[item.control_begin + c];
        key |= value(control.row, control.flip, base) << (c + 1);
    }
    for (int s = operation.segment_begin; s < operation.segment_end; ++s) {
        const Segment& segment = view.segments[s];
        visit(view.indices + segment.begin, view.indices + segment.end, segment.key ^ key);
    }
}

// The lanes in which all controls of an item are 1.
template <class T>
class Active {
    using V = typename Shape<T>::V;

  public:
    Active(const View<T>& view, const Item& item, uint32_t key) {
        for (V& lanes : lanes_) lanes = splat<V>(T(1));
        for (int k = 0; k < item.num_controls() && !none; ++k) {
            const bool one = key >> (k + 1) & 1;
            const uint64_t row = view.controls[item.control_begin + k].row;
            if (!Matrices<T>::lane_signs(view, row, 0)) {
                none = !one;
                continue;
            }
            all = false;
            for (int c = 0; c < Shape<T>::C; ++c) {
                const V signs = load<V>(Matrices<T>::lane_signs(view, row, c));
                lanes_[c] *= one ? (1 + signs) / 2 : (1 - signs) / 2;
            }
        }
    }

    // The matrix where the lanes are active, one elsewhere.
    void restrict(Matrix2<V>& m, int c) const {
        if (all) return;
        for (int e = 0; e < 4; ++e) {
            m.re[e] *= lanes_[c];
            m.im[e] *= lanes_[c];
        }
        m.re[0] += 1 - lanes_[c];
        m.re[3] += 1 - lanes_[c];
    }

    const V& lanes(int c) const { return lanes_[c]; }

    bool none = false, all = true;

  private:
    V lanes_[Shape<T>::C];
};

// Where the partner of a lane stands in another vector: in the same lane, or at a distance.
template <class T, bool MOVED>
class Partner {
    using V = typename Shape<T>::V;
    static constexpr int N = Shape<T>::N;

  public:
    explicit Partner(unsigned) {}

    QSIM_INLINE V read(const T* vector, int c) const { return load<V>(vector + c * N); }
    QSIM_INLINE void write(T* vector, int c, const V& v) const { store(vector + c * N, v); }
};

template <class T>
class Partner<T, true> {
    using V = typename Shape<T>::V;
    static constexpr int N = Shape<T>::N;

  public:
    explicit Partner(unsigned distance)
        : registers_(static_cast<int>(distance) / N), shuffle_(distance % N) {}

    QSIM_INLINE V read(const T* vector, int c) const {
        return shuffle_(load<V>(vector + (c ^ registers_) * N));
    }
    QSIM_INLINE void write(T* vector, int c, const V& v) const {
        store(vector + (c ^ registers_) * N, shuffle_(v));
    }

  private:
    int registers_;
    Shuffle<T> shuffle_;
};

}  // namespace
}  // namespace qsim::cpu
