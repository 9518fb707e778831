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

// In place; its own inverse up to 2^n.
template <class T>
void walsh_hadamard(int num_qubits, T* values) {
    const int64_t size = int64_t{1} << num_qubits;
    for (int64_t half = 1; half < size; half *= 2) {
        for (int64_t begin = 0; begin < size; begin += 2 * half) {
            T *a = values + begin, *b = a + half;
            for (int64_t k = 0; k < half; ++k) {
                const T sum = a[k] + b[k], difference = a[k] - b[k];
                a[k] = sum, b[k] = difference;
            }
        }
    }
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

    static void all_matrices(const View<T>& view, int64_t first, T* out) {
        for (int k = 0; k < view.num_items; ++k) {
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
            } else if constexpr (KIND == kReal || KIND == kRotation) {
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

    // One tile: its base address, and where in the state its amplitudes stand.
    struct Tile {
        uint64_t base;
        const int64_t* at;
    };

    // Tile indices that an operation visits, and how the tile's base flips the qubits' values.
    struct Range {
        const uint16_t *begin, *end;
        int flip;
    };

    static int flip(const View<T>& view, int k, uint64_t base) {
        return static_cast<int>(parity(view.items[k].row & base)) ^ view.items[k].flip;
    }

    static Range pairs(const View<T>& view, const Operation& operation, uint64_t base) {
        const Item& item = view.items[operation.first];
        int segment = 0;
        for (int c = 0; c < item.controls; ++c) {
            const uint64_t outside = parity(item.control_row[c] & base) ^ item.control_flip[c];
            segment |= static_cast<int>(outside ^ 1) << c;
        }
        return {view.indices + operation.begin[segment],
                view.indices + operation.begin[segment + 1], flip(view, operation.first, base)};
    }

    template <int KIND>
    static void apply(const View<T>& view, const Operation& operation, const T* own,
                      const Tile& tile, T* state) {
        const Range range = pairs(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes m = matrix(view, operation.first, own, c);
            T* at = state + c * N;
            for (const uint16_t* p = range.begin; p != range.end; p += 2) {
                T *a = at + tile.at[p[range.flip]], *b = at + tile.at[p[1 - range.flip]];
                Pair psi;
                psi.read(a, b);
                psi.template times<KIND>(m).write(a, b);
            }
        }
    }

    // Sums of Im<lambda|P|psi> over pairs: of the two diagonal entries, and for X and Y.
    struct Sums {
        V zero{}, one{}, x{}, y{};

        void add_diagonal(const Pair& psi, const Pair& lambda) {
            zero += lambda.r0 * psi.i0 - lambda.i0 * psi.r0;
            one += lambda.r1 * psi.i1 - lambda.i1 * psi.r1;
        }
        void add_x(const Pair& psi, const Pair& lambda) {
            x += lambda.r0 * psi.i1 - lambda.i0 * psi.r1 + lambda.r1 * psi.i0 - lambda.i1 * psi.r0;
        }
        void add_y(const Pair& psi, const Pair& lambda) {
            y += lambda.r1 * psi.r0 + lambda.i1 * psi.i0 - lambda.r0 * psi.r1 - lambda.i0 * psi.i1;
        }
        // To sums[4][W] for I, X, Y, Z.
        void add_to(T* sums) const {
            const V terms[4] = {zero + one, x, y, zero - one};
            for (int g = 0; g < 4; ++g) store(sums + g * W, load<V>(sums + g * W) + terms[g]);
        }
    };

    // Adds to the item's sums if it has angles, then undoes it on psi and lambda.
    template <int KIND>
    static void undo(const View<T>& view, const Operation& operation, const T* own,
                     const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        if (view.items[operation.first].depends) {
            undo<KIND, true>(view, operation, own, tile, psi_state, lambda_state, sums);
        } else {
            undo<KIND, false>(view, operation, own, tile, psi_state, lambda_state, sums);
        }
    }

    template <int KIND, bool SUMS>
    static void undo(const View<T>& view, const Operation& operation, const T* own,
                     const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        const Range range = pairs(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes m = adjoint(matrix(view, operation.first, own, c));
            Sums total;
            for (const uint16_t* p = range.begin; p != range.end; p += 2) {
                const int64_t a = c * N + tile.at[p[range.flip]],
                              b = c * N + tile.at[p[1 - range.flip]];
                Pair psi, lambda;
                psi.read(psi_state + a, psi_state + b);
                lambda.read(lambda_state + a, lambda_state + b);
                if constexpr (SUMS && (KIND == kDiagonal || KIND == kDense))
                    total.add_diagonal(psi, lambda);
                if constexpr (SUMS && (KIND == kDense || KIND == kRotation))
                    total.add_x(psi, lambda);
                if constexpr (SUMS && KIND != kDiagonal) total.add_y(psi, lambda);
                psi.template times<KIND>(m).write(psi_state + a, psi_state + b);
                lambda.template times<KIND>(m).write(lambda_state + a, lambda_state + b);
            }
            if constexpr (SUMS) total.add_to(sums + int64_t{4} * W * operation.first + c * N);
        }
    }

    // --- Two real items at once: half the traffic
    // --------------------------------------------------

    // Amplitudes of two qubits: pair q holds those with the second qubit at q.
    struct Quad {
        Pair pair[2];

        void read(const T* state, const int64_t* at) {
            for (int q = 0; q < 2; ++q) pair[q].read(state + at[2 * q], state + at[2 * q + 1]);
        }
        void write(T* state, const int64_t* at) const {
            for (int q = 0; q < 2; ++q) pair[q].write(state + at[2 * q], state + at[2 * q + 1]);
        }
        // The pairs of the second qubit.
        Quad transposed() const {
            const Pair &a = pair[0], &b = pair[1];
            return {{{a.r0, a.i0, b.r0, b.i0}, {a.r1, a.i1, b.r1, b.i1}}};
        }
        Quad times(const Lanes& first, const Lanes& second) const {
            const Quad turned =
                Quad{{pair[0].template times<kReal>(first), pair[1].template times<kReal>(first)}}
                    .transposed();
            return Quad{{turned.pair[0].template times<kReal>(second),
                         turned.pair[1].template times<kReal>(second)}}
                .transposed();
        }
    };

    // Where a quadruple stands, flips of its qubits taken into account.
    struct Corners {
        int64_t at[4];

        Corners(const Tile& tile, const uint16_t* p, int flips) {
            for (int k = 0; k < 4; ++k) at[k] = tile.at[p[k ^ flips]];
        }
    };

    static Range quads(const View<T>& view, const Operation& operation, uint64_t base) {
        return {view.indices + operation.begin[0], view.indices + operation.begin[1],
                flip(view, operation.first, base) | flip(view, operation.second, base) << 1};
    }

    static void apply_double(const View<T>& view, const Operation& operation, const T* own,
                             const Tile& tile, T* state) {
        const Range range = quads(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes first = matrix(view, operation.first, own, c),
                        second = matrix(view, operation.second, own, c);
            for (const uint16_t* p = range.begin; p != range.end; p += 4) {
                const Corners at(tile, p, range.flip);
                Quad psi;
                psi.read(state + c * N, at.at);
                psi.times(first, second).write(state + c * N, at.at);
            }
        }
    }

    static void undo_double(const View<T>& view, const Operation& operation, const T* own,
                            const Tile& tile, T* psi_state, T* lambda_state, T* sums) {
        const Range range = quads(view, operation, tile.base);
        for (int c = 0; c < C; ++c) {
            const Lanes first = adjoint(matrix(view, operation.first, own, c));
            const Lanes second = adjoint(matrix(view, operation.second, own, c));
            Sums total[2];
            for (const uint16_t* p = range.begin; p != range.end; p += 4) {
                Quad psi, lambda;
                const Corners at(tile, p, range.flip);
                psi.read(psi_state + c * N, at.at);
                lambda.read(lambda_state + c * N, at.at);
                const Quad psi_turned = psi.transposed(), lambda_turned = lambda.transposed();
                for (int q = 0; q < 2; ++q) {
                    total[0].add_x(psi.pair[q], lambda.pair[q]);
                    total[0].add_y(psi.pair[q], lambda.pair[q]);
                    total[1].add_x(psi_turned.pair[q], lambda_turned.pair[q]);
                    total[1].add_y(psi_turned.pair[q], lambda_turned.pair[q]);
                }
                psi.times(first, second).write(psi_state + c * N, at.at);
                lambda.times(first, second).write(lambda_state + c * N, at.at);
            }
            total[0].add_to(sums + int64_t{4} * W * operation.first + c * N);
            total[1].add_to(sums + int64_t{4} * W * operation.second + c * N);
        }
    }

    // --- Layers of phases
    // --------------------------------------------------------------------------

    static void turn(T* amplitude, T re, T im) {
        for (int c = 0; c < C; ++c) {
            T* at = amplitude + c * N;
            const V r = load<V>(at), i = load<V>(at + W), pr = splat<V>(re), pi = splat<V>(im);
            store(at, pr * r - pi * i);
            store(at + W, pr * i + pi * r);
        }
    }

    static void apply_phases(const T* phases, const Tile& tile, int count, T* state) {
        for (int j = 0; j < count; ++j) {
            const int64_t at = tile.at[j];
            turn(state + at, phases[at / W], phases[at / W + 1]);
        }
    }

    // Leaves the batch's sum of Im(conj(lambda) psi) at each address, then undoes the phases.
    static void undo_phases(const T* phases, const Tile& tile, int count, T* psi, T* lambda,
                            T* sums) {
        for (int j = 0; j < count; ++j) {
            const int64_t at = tile.at[j];
            T *a = psi + at, *b = lambda + at;
            V total{};
            for (int c = 0; c < C; ++c) {
                total += load<V>(b + c * N) * load<V>(a + c * N + W) -
                         load<V>(b + c * N + W) * load<V>(a + c * N);
            }
            sums[at / (2 * W)] = sum_of<T, N>(total);
            turn(a, phases[at / W], -phases[at / W + 1]);
            turn(b, phases[at / W], -phases[at / W + 1]);
        }
    }

    // From the sums at all addresses to those of I and Z of the layer's items.
    static void add_layer(const View<T>& view, const Layer& layer, T* sums, double* generators) {
        walsh_hadamard(view.num_qubits, sums);
        for (int t = layer.term_begin; t < layer.term_end; ++t) {
            const Term& term = view.terms[t];
            if (term.part == kBefore) continue;
            const Item& item = view.items[term.item];
            const double sign = item.flip ? -1 : 1;
            item.each_character([&](double weight, uint64_t rows) {
                generators[4 * term.item] += weight * sums[rows];
                generators[4 * term.item + 3] += weight * sign * sums[rows ^ item.row];
            });
        }
    }

    static void phases(int num_qubits, double* coefficients, T* table) {
        walsh_hadamard(num_qubits, coefficients);
        constexpr int kStep = 16;
        const int64_t size = int64_t{1} << num_qubits;
        alignas(64) double angles[kStep]{}, sines[kStep], cosines[kStep];
        for (int64_t p = 0; p < size; p += kStep) {
            const int count = size < kStep ? static_cast<int>(size) : kStep;
            for (int k = 0; k < count; ++k) angles[k] = coefficients[p + k];
            sincos<double, kStep>(angles, sines, cosines);
            for (int k = 0; k < count; ++k) {
                table[2 * (p + k)] = static_cast<T>(cosines[k]);
                table[2 * (p + k) + 1] = static_cast<T>(sines[k]);
            }
        }
    }

    // --- Sweeps over tiles
    // -------------------------------------------------------------------------

    // Calls visit(tile) for every tile of the sweep.
    template <class Visit>
    static void each_tile(const View<T>& view, const Sweep& sweep, Visit visit) {
        int64_t at[1 << kMostTileBits];
        const uint64_t* offsets = view.offsets + sweep.offset_begin;
        const uint64_t size = uint64_t{1} << view.num_qubits;
        for (uint64_t base = 0; base < size; base = ((base | sweep.pivots) + 1) & ~sweep.pivots) {
            for (int j = 0; j < 1 << sweep.bits; ++j)
                at[j] = static_cast<int64_t>(base ^ offsets[j]) * 2 * W;
            visit(Tile{base, at});
        }
    }

    static const T* phases_of(const View<T>& view, const Operation& operation) {
        return view.phases + (int64_t{2} * operation.first << view.num_qubits);
    }

    static void forward(const View<T>& view, int64_t first, T* psi, T* own) {
        all_matrices(view, first, own);
        std::memset(psi, 0, (sizeof(T) * 2 * W) << view.num_qubits);
        for (int l = 0; l < W; ++l) psi[l] = 1;
        for (const Sweep* sweep = view.sweeps; sweep != view.sweeps + view.num_sweeps; ++sweep) {
            each_tile(view, *sweep, [&](const Tile& tile) {
                for (int k = sweep->begin; k < sweep->end; ++k) {
                    const Operation& operation = view.operations[k];
                    switch (operation.pass) {
                        case kPhases:
                            apply_phases(phases_of(view, operation), tile, 1 << sweep->bits, psi);
                            break;
                        case kDouble:
                            apply_double(view, operation, own, tile, psi);
                            break;
                        default:
                            apply_single(view, operation, own, tile, psi);
                    }
                }
            });
        }
    }

    static void apply_single(const View<T>& view, const Operation& operation, const T* own,
                             const Tile& tile, T* psi) {
        switch (operation.kind) {
            case kDiagonal:
                return apply<kDiagonal>(view, operation, own, tile, psi);
            case kReal:
            case kRotation:
                return apply<kReal>(view, operation, own, tile, psi);
            default:
                return apply<kDense>(view, operation, own, tile, psi);
        }
    }

    static void undo_single(const View<T>& view, const Operation& operation, const T* own,
                            const Tile& tile, T* psi, T* lambda, T* sums) {
        switch (operation.kind) {
            case kDiagonal:
                return undo<kDiagonal>(view, operation, own, tile, psi, lambda, sums);
            case kReal:
                return undo<kReal>(view, operation, own, tile, psi, lambda, sums);
            case kRotation:
                return undo<kRotation>(view, operation, own, tile, psi, lambda, sums);
            default:
                return undo<kDense>(view, operation, own, tile, psi, lambda, sums);
        }
    }

    static void backward(const View<T>& view, int64_t first, T* psi, T* lambda, T* scratch,
                         const Gradients<T>& out) {
        T* own = scratch;
        T* sums = own + int64_t{8} * W * view.num_items;
        T* phase_sums = sums + int64_t{4} * W * view.num_items;
        all_matrices(view, first, own);
        std::memset(sums, 0, sizeof(T) * 4 * W * view.num_items);
        for (const Sweep* sweep = view.sweeps + view.num_sweeps;
             sweep-- != view.sweeps && sweep->end > out.first;) {
            const int stop = sweep->begin > out.first ? sweep->begin : out.first;
            each_tile(view, *sweep, [&](const Tile& tile) {
                for (int k = sweep->end - 1; k >= stop; --k) {
                    const Operation& operation = view.operations[k];
                    switch (operation.pass) {
                        case kPhases:
                            undo_phases(phases_of(view, operation), tile, 1 << sweep->bits, psi,
                                        lambda,
                                        phase_sums + (static_cast<int64_t>(operation.second)
                                                      << view.num_qubits));
                            break;
                        case kDouble:
                            undo_double(view, operation, own, tile, psi, lambda, sums);
                            break;
                        default:
                            undo_single(view, operation, own, tile, psi, lambda, sums);
                    }
                }
            });
            for (int k = sweep->end - 1; k >= stop; --k) {
                const Operation& operation = view.operations[k];
                if (operation.pass != kPhases) continue;
                add_layer(view, view.layers[operation.first],
                          phase_sums + (static_cast<int64_t>(operation.second) << view.num_qubits),
                          out.generators);
            }
        }
        for (int k = 0; k < view.num_items; ++k) {
            if (!view.items[k].depends) continue;
            const T* from = sums + int64_t{4} * W * k;
            if (view.batched[k]) {
                factor_gradients(view, view.items[k], first, from, out);
            } else {
                for (int g = 0; g < 4; ++g) {
                    double total = 0;
                    for (int l = 0; l < W; ++l) total += from[g * W + l];
                    out.generators[4 * k + g] += total;
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

    static constexpr Kernels<T> table() { return {forward, expval, seed, backward, phases, W}; }
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
