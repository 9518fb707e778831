// The loops over amplitudes. Compiled once for each instruction set, so nothing here may leave its
// own namespace but the table at the end: an inline function shared with other files could end up
// compiled for the wrong processor.
#include "kernels.hpp"

#include "lanes.hpp"

namespace qsim::cpu {
namespace {

// A 2x2 matrix, or a product of them, one for each sample of V (V is a vector of samples, or a
// single number).
template <class V>
struct Matrix2 {
    V re[4], im[4];
};

template <class V>
inline Matrix2<V> multiply(const Matrix2<V>& a, const Matrix2<V>& b) {
    Matrix2<V> c;
    for (int i = 0; i < 2; ++i) {
        for (int k = 0; k < 2; ++k) {
            const int e = 2 * i + k, l = 2 * i, r = 2 + k;
            c.re[e] = a.re[l] * b.re[k] - a.im[l] * b.im[k] + a.re[l + 1] * b.re[r] -
                      a.im[l + 1] * b.im[r];
            c.im[e] = a.re[l] * b.im[k] + a.im[l] * b.re[k] + a.re[l + 1] * b.im[r] +
                      a.im[l + 1] * b.re[r];
        }
    }
    return c;
}

template <class V>
inline Matrix2<V> adjoint(const Matrix2<V>& a) {
    return {{a.re[0], a.re[2], a.re[1], a.re[3]}, {-a.im[0], -a.im[2], -a.im[1], -a.im[3]}};
}

template <class V, class T>
inline V splat(T value) {
    return V{} + value;
}

// --- Matrices that differ from sample to sample
// ----------------------------------------------------

template <class T, int W>
struct Block {
    static constexpr int N = kVectorLanes<T, W>;  // samples a register holds
    static constexpr int C = W / N;               // registers a block needs
    using V = typename VectorOf<T, N>::type;
    using Lanes = Matrix2<V>;

    // Angles of a factor for the block's samples; samples beyond the batch get 0.
    static void read_angles(const Angles<T>& angles, const Angle& angle, int64_t first, T* out) {
        const T* from = angles.data[angle.source] + angle.index;
        const int64_t stride = angles.stride[angle.source];
        const T scale = static_cast<T>(angle.scale), offset = static_cast<T>(angle.offset);
        for (int l = 0; l < W; ++l) {
            const int64_t sample = first + l;
            out[l] = sample < angles.batch ? scale * from[sample * stride] + offset : T(0);
        }
    }

    // The factor's matrices, C registers of samples.
    static void factor_matrices(const Angles<T>& angles, const Factor& factor, int64_t first,
                                Lanes* out) {
        alignas(64) T sines[2][W], cosines[2][W], theta[W], scaled[W];
        const bool fixed = factor.angle.source == kConstant;
        if (!fixed) read_angles(angles, factor.angle, first, theta);
        for (int k = 0; k < 2 && !fixed; ++k) {
            const T frequency = static_cast<T>(factor.frequencies[k]);
            for (int l = 0; l < W; ++l) scaled[l] = frequency * theta[l];
            if (k == 1 && factor.frequencies[1] == -factor.frequencies[0]) {
                for (int l = 0; l < W; ++l)
                    sines[1][l] = -sines[0][l], cosines[1][l] = cosines[0][l];
            } else {
                sincos<T, W>(scaled, sines[k], cosines[k]);
            }
        }
        for (int c = 0; c < C; ++c) {
            for (int e = 0; e < 4; ++e) {
                V re{}, im{};
                for (int k = 0; k < (fixed ? 1 : 2); ++k) {
                    const V pr = splat<V>(static_cast<T>(factor.projectors[k][e].real()));
                    const V pi = splat<V>(static_cast<T>(factor.projectors[k][e].imag()));
                    const V cosine = fixed ? splat<V>(T(1)) : load<V>(cosines[k] + c * N);
                    const V sine = fixed ? V{} : load<V>(sines[k] + c * N);
                    re += pr * cosine - pi * sine;
                    im += pr * sine + pi * cosine;
                }
                out[c].re[e] = re;
                out[c].im[e] = im;
            }
        }
    }

    static void item_matrices(const View<T>& view, const Item& item, int64_t first, T* out) {
        Lanes product[C], next[C];
        factor_matrices(view.angles, view.factors[item.factor_begin], first, product);
        for (int f = item.factor_begin + 1; f < item.factor_end; ++f) {
            factor_matrices(view.angles, view.factors[f], first, next);
            for (int c = 0; c < C; ++c) product[c] = multiply(next[c], product[c]);
        }
        for (int c = 0; c < C; ++c) {
            for (int e = 0; e < 4; ++e) {
                store(out + (2 * e) * W + c * N, product[c].re[e]);
                store(out + (2 * e + 1) * W + c * N, product[c].im[e]);
            }
        }
    }

    static void all_matrices(const View<T>& view, int first_item, int num_items, int64_t first,
                             T* out) {
        for (int k = first_item; k < num_items; ++k) {
            if (view.batched[k])
                item_matrices(view, view.items[k], first, out + int64_t{8} * W * k);
        }
    }

    // The item's matrix for one register of samples, from shared numbers or from `own`.
    static Lanes matrix(const View<T>& view, int k, const T* own, int c) {
        Lanes m;
        if (view.batched[k]) {
            const T* from = own + int64_t{8} * W * k + c * N;
            for (int e = 0; e < 4; ++e)
                m.re[e] = load<V>(from + 2 * e * W), m.im[e] = load<V>(from + (2 * e + 1) * W);
        } else {
            const T* from = view.shared + 8 * k;
            for (int e = 0; e < 4; ++e)
                m.re[e] = splat<V>(from[2 * e]), m.im[e] = splat<V>(from[2 * e + 1]);
        }
        return m;
    }

    // --- One item on one tile
    // ----------------------------------------------------------------------

    struct Pair {
        V r0, i0, r1, i1;

        void read(const T* a, const T* b) {
            r0 = load<V>(a), i0 = load<V>(a + W), r1 = load<V>(b), i1 = load<V>(b + W);
        }
        void write(T* a, T* b) const {
            store(a, r0), store(a + W, i0), store(b, r1), store(b + W, i1);
        }

        template <int KIND>
        Pair times(const Lanes& m) const {
            if constexpr (KIND == kDiagonal) {
                return {m.re[0] * r0 - m.im[0] * i0, m.re[0] * i0 + m.im[0] * r0,
                        m.re[3] * r1 - m.im[3] * i1, m.re[3] * i1 + m.im[3] * r1};
            } else if constexpr (KIND == kReal) {
                return {m.re[0] * r0 + m.re[1] * r1, m.re[0] * i0 + m.re[1] * i1,
                        m.re[2] * r0 + m.re[3] * r1, m.re[2] * i0 + m.re[3] * i1};
            } else {
                return {m.re[0] * r0 - m.im[0] * i0 + m.re[1] * r1 - m.im[1] * i1,
                        m.re[0] * i0 + m.im[0] * r0 + m.re[1] * i1 + m.im[1] * r1,
                        m.re[2] * r0 - m.im[2] * i0 + m.re[3] * r1 - m.im[3] * i1,
                        m.re[2] * i0 + m.im[2] * r0 + m.re[3] * i1 + m.im[3] * r1};
            }
        }
    };

    // Pairs of tile indices on which the item acts, given the tile's base address.
    struct Range {
        const uint16_t *begin, *end;
        int zero;  // which of the two has the qubit at 0
    };

    static Range range(const View<T>& view, int k, uint64_t base) {
        const Item& item = view.items[k];
        int segment = 0;
        for (int c = 0; c < item.controls; ++c) {
            const uint64_t outside = parity(item.control_row[c] & base) ^ item.control_flip[c];
            segment |= static_cast<int>(outside ^ 1) << c;
        }
        const PairSpan& span = view.spans[k];
        return {view.pairs + span.begin[segment], view.pairs + span.begin[segment + 1],
                static_cast<int>(parity(item.row & base)) ^ item.flip};
    }

    template <int KIND>
    static void apply(const View<T>& view, int k, const T* own, uint64_t base, T* tile) {
        const Range pairs = range(view, k, base);
        for (int c = 0; c < C; ++c) {
            const Lanes m = matrix(view, k, own, c);
            T* at = tile + c * N;
            for (const uint16_t* p = pairs.begin; p != pairs.end; p += 2) {
                T *a = at + 2 * W * p[pairs.zero], *b = at + 2 * W * p[1 - pairs.zero];
                Pair psi;
                psi.read(a, b);
                psi.template times<KIND>(m).write(a, b);
            }
        }
    }

    // Adds Im<lambda|P|psi> for I, X, Y, Z to sums[4][W], then undoes the item on psi and lambda.
    template <int KIND, bool SUMS>
    static void undo(const View<T>& view, int k, const T* own, uint64_t base, T* psi_tile,
                     T* lambda_tile, T* sums) {
        const Range pairs = range(view, k, base);
        for (int c = 0; c < C; ++c) {
            const Lanes m = adjoint(matrix(view, k, own, c));
            V zero{}, one{}, x{}, y{};
            for (const uint16_t* p = pairs.begin; p != pairs.end; p += 2) {
                const int64_t a = c * N + 2 * W * p[pairs.zero],
                              b = c * N + 2 * W * p[1 - pairs.zero];
                Pair psi, lambda;
                psi.read(psi_tile + a, psi_tile + b);
                lambda.read(lambda_tile + a, lambda_tile + b);
                if constexpr (SUMS) {
                    zero += lambda.r0 * psi.i0 - lambda.i0 * psi.r0;
                    one += lambda.r1 * psi.i1 - lambda.i1 * psi.r1;
                    if constexpr (KIND != kDiagonal) {
                        y += lambda.r1 * psi.r0 + lambda.i1 * psi.i0 - lambda.r0 * psi.r1 -
                             lambda.i0 * psi.i1;
                    }
                    if constexpr (KIND == kDense) {
                        x += lambda.r0 * psi.i1 - lambda.i0 * psi.r1 + lambda.r1 * psi.i0 -
                             lambda.i1 * psi.r0;
                    }
                }
                psi.template times<KIND>(m).write(psi_tile + a, psi_tile + b);
                lambda.template times<KIND>(m).write(lambda_tile + a, lambda_tile + b);
            }
            if constexpr (SUMS) {
                const V terms[4] = {zero + one, x, y, zero - one};
                for (int g = 0; g < 4; ++g) {
                    T* to = sums + g * W + c * N;
                    store(to, load<V>(to) + terms[g]);
                }
            }
        }
    }

    // --- Sweeps over tiles
    // -------------------------------------------------------------------------

    static void gather(const uint64_t* offsets, int count, uint64_t base, const T* state, T* tile) {
        for (int j = 0; j < count; ++j) {
            std::memcpy(tile + 2 * W * j, state + 2 * W * (base ^ offsets[j]), 2 * W * sizeof(T));
        }
    }

    static void scatter(const uint64_t* offsets, int count, uint64_t base, const T* tile,
                        T* state) {
        for (int j = 0; j < count; ++j) {
            std::memcpy(state + 2 * W * (base ^ offsets[j]), tile + 2 * W * j, 2 * W * sizeof(T));
        }
    }

    // Calls visit(base) for every tile of the sweep.
    template <class Visit>
    static void each_tile(const View<T>& view, const Sweep& sweep, Visit visit) {
        const uint64_t size = uint64_t{1} << view.num_qubits;
        for (uint64_t base = 0; base < size; base = ((base | sweep.pivots) + 1) & ~sweep.pivots)
            visit(base);
    }

    static void forward(const View<T>& view, int64_t first, T* psi, T* scratch) {
        T* own = scratch;
        const int num_items = view.num_sweeps ? view.sweeps[view.num_sweeps - 1].item_end : 0;
        T* tile_scratch = own + int64_t{8} * W * num_items;
        all_matrices(view, 0, num_items, first, own);
        std::memset(psi, 0, (sizeof(T) * 2 * W) << view.num_qubits);
        for (int l = 0; l < W; ++l) psi[l] = 1;
        for (int s = 0; s < view.num_sweeps; ++s) {
            const Sweep& sweep = view.sweeps[s];
            const uint64_t* offsets = view.offsets + sweep.offset_begin;
            const int count = 1 << sweep.bits;
            const bool whole = sweep.bits == view.num_qubits;
            each_tile(view, sweep, [&](uint64_t base) {
                T* tile = whole ? psi : tile_scratch;
                if (!whole) gather(offsets, count, base, psi, tile);
                for (int k = sweep.item_begin; k < sweep.item_end; ++k) {
                    switch (view.items[k].kind) {
                        case kDiagonal:
                            apply<kDiagonal>(view, k, own, base, tile);
                            break;
                        case kReal:
                            apply<kReal>(view, k, own, base, tile);
                            break;
                        default:
                            apply<kDense>(view, k, own, base, tile);
                    }
                }
                if (!whole) scatter(offsets, count, base, tile, psi);
            });
        }
    }

    template <bool SUMS>
    static void undo_kind(const View<T>& view, int k, const T* own, uint64_t base, T* psi,
                          T* lambda, T* sums) {
        switch (view.items[k].kind) {
            case kDiagonal:
                undo<kDiagonal, SUMS>(view, k, own, base, psi, lambda, sums);
                break;
            case kReal:
                undo<kReal, SUMS>(view, k, own, base, psi, lambda, sums);
                break;
            default:
                undo<kDense, SUMS>(view, k, own, base, psi, lambda, sums);
        }
    }

    static void backward(const View<T>& view, int64_t first, T* psi, T* lambda, T* scratch,
                         const Gradients<T>& out) {
        T* own = scratch;
        const int num_items = view.num_sweeps ? view.sweeps[view.num_sweeps - 1].item_end : 0;
        T* sums = own + int64_t{8} * W * num_items;
        T* tile_scratch = sums + int64_t{4} * W * num_items;
        all_matrices(view, out.first_item, num_items, first, own);
        std::memset(sums, 0, sizeof(T) * 4 * W * num_items);
        for (int s = view.num_sweeps - 1; s >= 0 && view.sweeps[s].item_end > out.first_item; --s) {
            const Sweep& sweep = view.sweeps[s];
            const uint64_t* offsets = view.offsets + sweep.offset_begin;
            const int count = 1 << sweep.bits;
            const bool whole = sweep.bits == view.num_qubits;
            const int stop = sweep.item_begin > out.first_item ? sweep.item_begin : out.first_item;
            each_tile(view, sweep, [&](uint64_t base) {
                T* psi_tile = whole ? psi : tile_scratch;
                T* lambda_tile = whole ? lambda : tile_scratch + 2 * W * count;
                if (!whole)
                    gather(offsets, count, base, psi, psi_tile),
                        gather(offsets, count, base, lambda, lambda_tile);
                for (int k = sweep.item_end - 1; k >= stop; --k) {
                    T* to = sums + int64_t{4} * W * k;
                    if (view.items[k].depends) {
                        undo_kind<true>(view, k, own, base, psi_tile, lambda_tile, to);
                    } else {
                        undo_kind<false>(view, k, own, base, psi_tile, lambda_tile, to);
                    }
                }
                if (!whole)
                    scatter(offsets, count, base, psi_tile, psi),
                        scatter(offsets, count, base, lambda_tile, lambda);
            });
        }
        for (int k = out.first_item; k < num_items; ++k) {
            if (!view.items[k].depends) continue;
            const T* from = sums + int64_t{4} * W * k;
            if (view.batched[k]) {
                factor_gradients(view, view.items[k], first, from, out);
            } else {
                for (int g = 0; g < 4; ++g) {
                    double total = 0;
                    for (int l = 0; l < W; ++l) total += from[g * W + l];
                    out.generators[4 * k + g] = total;
                }
            }
        }
    }

    // --- From an item's sums to the angles of its factors, where samples differ
    // ---------------------

    // With L the product of the factors after f, the derivative is -2 sum_P h_P Im<lambda|P|psi>, h
    // = L K L+.
    static void factor_gradients(const View<T>& view, const Item& item, int64_t first,
                                 const T* sums, const Gradients<T>& out) {
        Lanes after[C], own[C];
        for (int c = 0; c < C; ++c) {
            after[c] = {};
            after[c].re[0] = after[c].re[3] = splat<V>(T(1));
        }
        for (int f = item.factor_end - 1; f >= item.factor_begin; --f) {
            const Factor& factor = view.factors[f];
            if (factor.angle.source != kConstant) {
                alignas(64) T derivative[W];
                const Matrix2<T> generator = generator_of(factor);
                for (int c = 0; c < C; ++c) {
                    store(derivative + c * N, angle_derivative(after[c], generator, sums + c * N));
                }
                add_derivative(view.angles, factor.angle, first, derivative, out);
            }
            factor_matrices(view.angles, factor, first, own);
            for (int c = 0; c < C; ++c) after[c] = multiply(after[c], own[c]);
        }
    }

    static Matrix2<T> generator_of(const Factor& factor) {
        Matrix2<T> k{};
        for (int e = 0; e < 4; ++e) {
            for (int t = 0; t < 2; ++t) {
                k.re[e] += static_cast<T>(factor.frequencies[t] * factor.projectors[t][e].real());
                k.im[e] += static_cast<T>(factor.frequencies[t] * factor.projectors[t][e].imag());
            }
        }
        return k;
    }

    static V angle_derivative(const Lanes& after, const Matrix2<T>& generator, const T* sums) {
        Lanes k;
        for (int e = 0; e < 4; ++e)
            k.re[e] = splat<V>(generator.re[e]), k.im[e] = splat<V>(generator.im[e]);
        const Lanes h = multiply(multiply(after, k), adjoint(after));
        const V i = load<V>(sums), x = load<V>(sums + W), y = load<V>(sums + 2 * W),
                z = load<V>(sums + 3 * W);
        // h_I = (h00 + h11) / 2, h_Z = (h00 - h11) / 2, h_X = Re h10, h_Y = Im h10.
        return -((h.re[0] + h.re[3]) * i + (h.re[0] - h.re[3]) * z) -
               T(2) * (h.re[2] * x + h.im[2] * y);
    }

    static void add_derivative(const Angles<T>& angles, const Angle& angle, int64_t first,
                               const T* derivative, const Gradients<T>& out) {
        const T scale = static_cast<T>(angle.scale);
        const int s = angle.source;
        for (int l = 0; l < W && first + l < angles.batch; ++l) {
            const T value = scale * derivative[l];
            if (out.batched[s]) {
                out.batched[s][(first + l) * out.size[s] + angle.index] += value;
            } else if (out.shared[s]) {
                out.shared[s][angle.index] += value;
            }
        }
    }

    // --- Pauli strings on the final state
    // -----------------------------------------------------------

    static bool odd(const Pauli& pauli, uint64_t p) {
        return parity(pauli.z & p) ^ static_cast<uint64_t>(pauli.sign);
    }

    static void expval(const View<T>& view, int64_t first, const T* psi, T* values) {
        const uint64_t size = uint64_t{1} << view.num_qubits;
        for (int k = 0; k < view.num_paulis; ++k) {
            const Pauli& pauli = view.paulis[k];
            alignas(64) T result[W];
            for (int c = 0; c < C; ++c) {
                V sum{};
                for (uint64_t p = 0; p < size; ++p) {
                    const T* from = psi + 2 * W * p + c * N;
                    const T* to = psi + 2 * W * (p ^ pauli.x) + c * N;
                    const V re = load<V>(from), im = load<V>(from + W), tr = load<V>(to),
                            ti = load<V>(to + W);
                    // <psi|P|psi> = sum_p conj(psi[p ^ x]) i^num_y (+-1) psi[p]; only its real part
                    // is left in the end.
                    const V term = pauli.num_y & 1 ? ti * re - tr * im : tr * re + ti * im;
                    sum += term * splat<V>(odd(pauli, p) ? T(-1) : T(1));
                }
                store(result + c * N, pauli.num_y & 2 ? -sum : sum);
            }
            for (int l = 0; l < W && first + l < view.angles.batch; ++l) {
                values[(first + l) * view.num_paulis + k] = result[l];
            }
        }
    }

    static void seed(const View<T>& view, int64_t first, const T* psi, const T* cotangent,
                     T* lambda) {
        const uint64_t size = uint64_t{1} << view.num_qubits;
        std::memset(lambda, 0, sizeof(T) * 2 * W * size);
        for (int k = 0; k < view.num_paulis; ++k) {
            const Pauli& pauli = view.paulis[k];
            alignas(64) T weight[W];
            for (int l = 0; l < W; ++l) {
                weight[l] = first + l < view.angles.batch
                                ? cotangent[(first + l) * view.num_paulis + k]
                                : T(0);
                if (pauli.num_y & 2) weight[l] = -weight[l];
            }
            for (int c = 0; c < C; ++c) {
                const V w = load<V>(weight + c * N);
                for (uint64_t p = 0; p < size; ++p) {
                    const T* from = psi + 2 * W * p + c * N;
                    T* to = lambda + 2 * W * (p ^ pauli.x) + c * N;
                    const V g = w * splat<V>(odd(pauli, p) ? T(-1) : T(1));
                    const V re = g * load<V>(from), im = g * load<V>(from + W);
                    store(to, load<V>(to) + (pauli.num_y & 1 ? -im : re));
                    store(to + W, load<V>(to + W) + (pauli.num_y & 1 ? re : im));
                }
            }
        }
    }

    static constexpr Kernels<T> table() { return {forward, expval, seed, backward, W}; }
};

}  // namespace

extern const InstructionSet QSIM_ISA = {
#define QSIM_TEXT(name) #name
#define QSIM_NAME(name) QSIM_TEXT(name)
    QSIM_NAME(QSIM_ISA),
    {Block<float, 1>::table(), Block<float, 4>::table(), Block<float, 8>::table(),
     Block<float, 16>::table()},
    {Block<double, 1>::table(), Block<double, 4>::table(), Block<double, 8>::table(),
     Block<double, 16>::table()},
};

}  // namespace qsim::cpu
