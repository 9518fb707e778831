// Loops over density matrices in the Pauli basis; transfer.hpp has the layout.
#pragma once

#include <algorithm>

#include "lanes.hpp"
#include "transfer_maps.hpp"

namespace qsim::cpu {
namespace {

// A position with two bits set to zero from `bit` on, all others in order.
QSIM_INLINE int64_t spread(int64_t position, int bit) {
    const int64_t low = position & ((int64_t{1} << bit) - 1);
    return (position - low) << 2 | low;
}

template <class T>
struct Transfers {
    static constexpr int W = Shape<T>::W, N = Shape<T>::N, C = Shape<T>::C;
    using V = typename Shape<T>::V;

    // The map of a step: the shared numbers, or [12][W] for the lanes.
    struct Map {
        const T* numbers;
        bool shared;

        template <class Register>
        QSIM_INLINE Register entry(int e, int64_t lane) const {
            return shared ? splat<Register>(numbers[e]) : load<Register>(numbers + e * W + lane);
        }
    };

    static Map map_of(const TransferView<T>& view, int step, const T* own) {
        const int32_t place = view.own[step];
        if (place >= 0) return {own + int64_t{12} * W * place, false};
        return {view.shared + int64_t{12} * step, true};
    }

    // loop(registers of so many entries) where the lowest qubit leaves so many side by side.
    template <class Loop>
    static void by_width(int lowest_bit, Loop loop) {
        if (int64_t{1} << lowest_bit >= N) {
            loop(V{});
        } else if (lowest_bit >= 2) {
            loop(typename VectorOf<T, (N > 4 ? 4 : 1)>::type{});
        } else {
            loop(T{});
        }
    }

    // --- One qubit
    // --------------------------------------------------------------------------------

    template <class R>
    static void apply_map(const Map& map, int bit, bool transpose, int64_t begin, int64_t end,
                          const T* from, T* to) {
        constexpr int64_t kStep = sizeof(R) / sizeof(T);
        const int64_t row = int64_t{1} << bit;
        for (int64_t lane = 0; lane < W; lane += kStep) {
            R m[12];
            for (int e = 0; e < 12; ++e) m[e] = map.template entry<R>(e, lane);
            for (int64_t position = begin + lane; position < end; position += W) {
                const int64_t at = spread(position, bit);
                const R x0 = load<R>(from + at), x1 = load<R>(from + at + row),
                        x2 = load<R>(from + at + 2 * row), x3 = load<R>(from + at + 3 * row);
                R y[4];
                if (transpose) {
                    for (int j = 0; j < 4; ++j) y[j] = m[j] * x1 + m[4 + j] * x2 + m[8 + j] * x3;
                    y[0] += x0;
                } else {
                    y[0] = x0;
                    for (int i = 0; i < 3; ++i) {
                        y[i + 1] = m[4 * i] * x0 + m[4 * i + 1] * x1 + m[4 * i + 2] * x2 +
                                   m[4 * i + 3] * x3;
                    }
                }
                for (int j = 0; j < 4; ++j) store(to + at + j * row, y[j]);
            }
        }
    }

    template <class R>
    static void differentiate_map(const Map& map, int bit, int64_t begin, int64_t end,
                                  const T* given, T* lambda, T* sums) {
        constexpr int64_t kStep = sizeof(R) / sizeof(T);
        const int64_t row = int64_t{1} << bit;
        for (int64_t lane = 0; lane < W; lane += kStep) {
            R m[12], total[12];
            for (int e = 0; e < 12; ++e) {
                m[e] = map.template entry<R>(e, lane);
                total[e] = load<R>(sums + e * W + lane);
            }
            for (int64_t position = begin + lane; position < end; position += W) {
                const int64_t at = spread(position, bit);
                R x[4], l[4];
                for (int j = 0; j < 4; ++j) {
                    x[j] = load<R>(given + at + j * row);
                    l[j] = load<R>(lambda + at + j * row);
                }
                for (int i = 0; i < 3; ++i) {
                    for (int j = 0; j < 4; ++j) total[4 * i + j] += l[i + 1] * x[j];
                }
                for (int j = 0; j < 4; ++j) {
                    R y = m[j] * l[1] + m[4 + j] * l[2] + m[8 + j] * l[3];
                    if (j == 0) y += l[0];
                    store(lambda + at + j * row, y);
                }
            }
            for (int e = 0; e < 12; ++e) store(sums + e * W + lane, total[e]);
        }
    }

    // --- Several qubits
    // ---------------------------------------------------------------------------

    // Where the components of a step's qubits lie, and which bits to leave out for them.
    struct Places {
        int bits[8], count;
        std::vector<int64_t> offsets;

        Places(const TransferView<T>& view, const std::vector<int32_t>& qubits)
            : count(static_cast<int>(qubits.size())), offsets(size_t{1} << (2 * qubits.size())) {
            for (size_t k = 0; k < offsets.size(); ++k) {
                for (int q = 0; q < count; ++q) {
                    const auto digit = static_cast<int64_t>(k >> (2 * q) & 3);
                    offsets[k] |= digit << (2 * qubits[static_cast<size_t>(q)] + view.sample_bits);
                }
            }
            for (int q = 0; q < count; ++q)
                bits[q] = 2 * qubits[static_cast<size_t>(q)] + view.sample_bits;
            std::sort(bits, bits + count);
        }

        QSIM_INLINE int64_t operator()(int64_t position) const {
            for (int q = 0; q < count; ++q) position = spread(position, bits[q]);
            return position;
        }
    };

    template <class R>
    static void apply_move(const WeightedMove& move, const Places& places, int64_t begin,
                           int64_t end, const T* from, T* to) {
        constexpr int64_t kStep = sizeof(R) / sizeof(T);
        int64_t source[16], target[16];
        R weight[16];
        for (int k = 0; k < 16; ++k) {
            target[k] = places.offsets[static_cast<size_t>(k)];
            source[k] = places.offsets[static_cast<size_t>(move.source[static_cast<size_t>(k)])];
            weight[k] = splat<R>(static_cast<T>(move.weight[static_cast<size_t>(k)]));
        }
        for (int64_t position = begin; position < end; position += kStep) {
            const int64_t at = spread(spread(position, places.bits[0]), places.bits[1]);
            R moved[16];
            for (int k = 0; k < 16; ++k) moved[k] = weight[k] * load<R>(from + at + source[k]);
            for (int k = 0; k < 16; ++k) store(to + at + target[k], moved[k]);
        }
    }

    template <class R>
    static void apply_matrix(const std::vector<double>& matrix, const Places& places, int64_t begin,
                             int64_t end, const T* from, T* to) {
        constexpr int64_t kStep = sizeof(R) / sizeof(T);
        const size_t size = places.offsets.size();
        const std::vector<T> numbers(matrix.begin(), matrix.end());
        std::vector<T> memory(size * kStep);
        for (int64_t position = begin; position < end; position += kStep) {
            const int64_t at = places(position);
            for (size_t k = 0; k < size; ++k)
                store(memory.data() + k * kStep, load<R>(from + at + places.offsets[k]));
            for (size_t i = 0; i < size; ++i) {
                R total{};
                for (size_t k = 0; k < size; ++k)
                    total += numbers[i * size + k] * load<R>(memory.data() + k * kStep);
                store(to + at + places.offsets[i], total);
            }
        }
    }

    // --- Steps
    // ------------------------------------------------------------------------------------

    static int bit_of(const TransferView<T>& view, int step) {
        return 2 * view.steps[step].qubits[0] + view.sample_bits;
    }

    static void apply(const TransferView<T>& view, int number, bool transpose, const T* own,
                      int64_t begin, int64_t end, const T* from, T* to) {
        const TransferStep& step = view.steps[number];
        if (step.kind == kOneQubit) {
            const int bit = bit_of(view, number);
            const Map map = map_of(view, number, own);
            by_width(bit, [&](auto r) {
                apply_map<decltype(r)>(map, bit, transpose, begin, end, from, to);
            });
            return;
        }
        const Places places(view, step.qubits);
        by_width(places.bits[0], [&](auto r) {
            using R = decltype(r);
            if (step.kind == kMove) {
                apply_move<R>(transpose ? step.back : step.move, places, begin, end, from, to);
            } else {
                apply_matrix<R>(transpose ? step.transposed : step.matrix, places, begin, end, from,
                                to);
            }
        });
    }

    static void differentiate(const TransferView<T>& view, int step, const T* own, int64_t begin,
                              int64_t end, const T* given, T* lambda, T* sums) {
        const int bit = bit_of(view, step);
        const Map map = map_of(view, step, own);
        by_width(bit, [&](auto r) {
            differentiate_map<decltype(r)>(map, bit, begin, end, given, lambda, sums);
        });
    }

    // --- Angles
    // -----------------------------------------------------------------------------------

    // Cosines and sines of an angle for the block's samples; samples beyond the batch get angle 0.
    static void turn(const TransferView<T>& view, const Angle& angle, int64_t first, T* cosines,
                     T* sines) {
        alignas(64) T theta[W];
        const Angles<T>& angles = view.angles;
        const T scale = static_cast<T>(angle.scale), offset = static_cast<T>(angle.offset);
        for (int l = 0; l < W; ++l) {
            const int64_t sample = first + (l & (view.samples() - 1));
            theta[l] =
                sample < angles.batch
                    ? scale * angles.data[angle.source]
                                         [sample * angles.stride[angle.source] + angle.index] +
                          offset
                    : T(0);
        }
        sincos<T, W>(theta, sines, cosines);
    }

    // Maps of a step's factors, for one register of lanes.
    static std::vector<Rows<V>> factor_maps(const TransferView<T>& view, int step, int64_t first,
                                            int c) {
        std::vector<Rows<V>> maps;
        for (int f = view.steps[step].factor_begin; f < view.steps[step].factor_end; ++f) {
            alignas(64) T cosines[W] = {}, sines[W] = {};
            const Angle& angle = view.factors[f].angle;
            if (angle.source != kConstant) turn(view, angle, first, cosines, sines);
            maps.push_back(
                factor_rows<T>(view.factors[f], load<V>(cosines + c * N), load<V>(sines + c * N)));
        }
        return maps;
    }

    static void maps(const TransferView<T>& view, int64_t first, T* own) {
        for (int step = 0; step < view.num_steps; ++step) {
            if (view.own[step] < 0) continue;
            T* to = own + int64_t{12} * W * view.own[step];
            for (int c = 0; c < C; ++c) {
                const auto factors = factor_maps(view, step, first, c);
                Rows<V> whole = factors.front();
                for (size_t k = 1; k < factors.size(); ++k) whole = product(factors[k], whole);
                for (int e = 0; e < 12; ++e) store(to + e * W + c * N, whole[e]);
            }
        }
    }

    static void gradients(const TransferView<T>& view, int step, int64_t place, int64_t first,
                          T* sums, const Gradients<T>& out) {
        const auto samples = static_cast<int>(view.samples());
        for (int e = 0; e < 12; ++e) {  // each sample's sum to its first lane
            for (int width = W / 2; width >= samples; width /= 2) {
                for (int l = 0; l < width; ++l) sums[e * W + l] += sums[e * W + l + width];
            }
        }
        if (view.own[step] < 0) {
            for (int e = 0; e < 12; ++e) {
                for (int l = 0; l < samples; ++l)
                    out.generators[12 * place + e] += static_cast<double>(sums[e * W + l]);
            }
            return;
        }
        for (int c = 0; c < C; ++c) sample_gradients(view, step, first, c, sums, out);
    }

    static void sample_gradients(const TransferView<T>& view, int step, int64_t first, int c,
                                 const T* sums, const Gradients<T>& out) {
        const TransferFactor* factors = view.factors + view.steps[step].factor_begin;
        Rows<V> total;
        for (int e = 0; e < 12; ++e) total[e] = load<V>(sums + e * W + c * N);
        const auto read = [&](int k, V& cosine, V& sine) {
            alignas(64) T cosines[W], sines[W];
            turn(view, factors[k].angle, first, cosines, sines);
            cosine = load<V>(cosines + c * N), sine = load<V>(sines + c * N);
        };
        chain_gradient<T>(
            factors, factor_maps(view, step, first, c), total, read, [&](int k, const V& found) {
                alignas(64) T derivatives[N];
                store(derivatives, found);
                for (int l = 0; l < N; ++l)
                    add(view, factors[k].angle, first, c * N + l, derivatives[l], out);
            });
    }

    static void add(const TransferView<T>& view, const Angle& angle, int64_t first, int lane,
                    T derivative, const Gradients<T>& out) {
        const int64_t sample = first + lane;
        if (lane >= view.samples() || sample >= view.angles.batch) return;
        const T value = static_cast<T>(angle.scale) * derivative;
        if (out.batched[angle.source]) {
            out.batched[angle.source][sample * out.size[angle.source] + angle.index] += value;
        } else if (out.shared[angle.source]) {
            out.shared[angle.source][angle.index] += static_cast<double>(value);
        }
    }

    static constexpr TransferKernels<T> table() { return {maps, apply, differentiate, gradients}; }
};

}  // namespace
}  // namespace qsim::cpu
