// The loops over amplitudes. Compiled once for each instruction set, so nothing here may leave its
// own namespace but the table at the end: an inline function shared with other files could end up
// compiled for the wrong processor.
#include "cosets.hpp"
#include "doubles.hpp"
#include "paulis.hpp"
#include "phases.hpp"
#include "product.hpp"
#include "trajectory_loops.hpp"
#include "transfer_loops.hpp"

namespace qsim::cpu {
namespace {

template <class T>
constexpr TransferKernels<T> transfers = Transfers<T>::table();
template <class T>
constexpr TrajectoryKernels<T> trajectories = Trajectories<T>::table();

// Stages of one buffer: sweeps over tiles.
template <class T>
struct Stages {
    static constexpr int W = Shape<T>::W;

    // Calls visit(vector in the state, vector in the buffer) for a stage's coset at `place`.
    template <class Visit>
    static void each_vector(const View<T>& view, const Stage& stage, uint64_t place, Visit visit) {
        const uint64_t* vectors = view.vectors + stage.vector_begin;
        for (int64_t j = 0;;) {
            visit(static_cast<int64_t>(place) * 2 * W, j * 2 * W);
            if (++j == int64_t{1} << stage.bits) return;
            // Counting up by one changes the lowest bits, up to the first that becomes 1.
            for (int64_t changed = j ^ (j - 1); changed; changed &= changed - 1)
                place ^= vectors[__builtin_ctzll(static_cast<uint64_t>(changed))];
        }
    }

    static void gather(const View<T>& view, const Stage& stage, uint64_t place, const T* state,
                       T* buffer) {
        each_vector(view, stage, place, [&](int64_t from, int64_t to) {
            std::memcpy(buffer + to, state + from, sizeof(T) * 2 * W);
        });
    }

    static void scatter(const View<T>& view, const Stage& stage, uint64_t place, const T* buffer,
                        T* state) {
        each_vector(view, stage, place, [&](int64_t to, int64_t from) {
            std::memcpy(state + to, buffer + from, sizeof(T) * 2 * W);
        });
    }

    static const T* table_of(const View<T>& view, const Operation& operation) {
        return view.phases + view.phase_table() * operation.first;
    }

    // Whether a corner of the quadruples stands in other lanes than the first.
    static bool moved(const View<T>& view, const Operation& operation) {
        return Matrices<T>::lane_distance(
                   view, view.items[operation.first].mask | view.items[operation.second].mask) != 0;
    }

    static void apply_quads(const View<T>& view, const Operation& operation, const T* own,
                            const Tile& tile, T* psi) {
        const auto loop = moved(view, operation) ? Doubles<T, true>::apply_loop(view, operation)
                                                 : Doubles<T, false>::apply_loop(view, operation);
        loop(view, operation, own, tile, psi);
    }

    static void undo_quads(const View<T>& view, const Operation& operation, const T* own,
                           const Tile& tile, T* psi, T* lambda, T* sums) {
        const auto loop = moved(view, operation) ? Doubles<T, true>::undo_loop(view, operation)
                                                 : Doubles<T, false>::undo_loop(view, operation);
        loop(view, operation, own, tile, psi, lambda, sums);
    }

    static void forward(const View<T>& view, const Stage& stage, uint64_t place, const T* own,
                        T* psi, T* scratch) {
        for (int s = stage.begin; s < stage.end; ++s) {
            const Sweep& sweep = view.sweeps[s];
            each_tile(view, stage, place, sweep, [&](const Tile& tile) {
                for (int k = sweep.begin; k < sweep.end; ++k) {
                    const Operation& operation = view.operations[k];
                    switch (operation.pass) {
                        case kPhases:
                            Phases<T>::apply(view, table_of(view, operation), tile, 1 << sweep.bits,
                                             psi);
                            break;
                        case kQuads:
                            apply_quads(view, operation, own, tile, psi);
                            break;
                        case kCosets:
                            Cosets<T>::apply(view, operation, tile, false, psi, scratch);
                            break;
                        default:
                            Items<T>::apply(view, operation, own, tile, psi);
                    }
                }
            });
        }
    }

    static void backward(const View<T>& view, const Stage& stage, uint64_t place, const T* own,
                         int first, T* psi, T* lambda, T* sums, T* phase_sums, T* scratch) {
        for (int s = stage.end - 1; s >= stage.begin && view.sweeps[s].end > first; --s) {
            const Sweep& sweep = view.sweeps[s];
            const int stop = std::max(sweep.begin, first);
            each_tile(view, stage, place, sweep, [&](const Tile& tile) {
                for (int k = sweep.end - 1; k >= stop; --k) {
                    const Operation& operation = view.operations[k];
                    switch (operation.pass) {
                        case kPhases:
                            Phases<T>::undo(view, table_of(view, operation), tile, 1 << sweep.bits,
                                            psi, lambda,
                                            phase_sums + (static_cast<int64_t>(operation.second)
                                                          << view.num_qubits));
                            break;
                        case kQuads:
                            undo_quads(view, operation, own, tile, psi, lambda, sums);
                            break;
                        case kCosets:
                            Cosets<T>::apply(view, operation, tile, true, psi, scratch);
                            Cosets<T>::apply(view, operation, tile, true, lambda, scratch);
                            break;
                        default:
                            Items<T>::undo(view, operation, own, tile, psi, lambda, sums);
                    }
                }
            });
        }
    }

    static void gradients(const View<T>& view, int64_t first, const T* sums,
                          const Gradients<T>& out) {
        for (int k = 0; k < view.num_items; ++k) {
            if (!view.items[k].depends) continue;
            const T* from = sums + int64_t{4} * W * k;
            for (int g = 0; g < 4; ++g) {
                auto total = load<typename Shape<T>::V>(from + g * W);
                for (int c = 1; c < Shape<T>::C; ++c)
                    total += load<typename Shape<T>::V>(from + g * W + c * Shape<T>::N);
                out.generators[4 * k + g] += static_cast<double>(sum_of<T, Shape<T>::N>(total));
            }
            if (!Matrices<T>::wanted(view, k, out)) continue;
            alignas(64) T samples[4 * W];
            for (int g = 0; g < 4; ++g) sum_samples(view, from + g * W, samples + g * W);
            Matrices<T>::factor_gradients(view, k, first, samples, out);
        }
    }

    // Each sample's sum, in all of its lanes.
    static void sum_samples(const View<T>& view, const T* lanes, T* out) {
        const int width = 1 << view.lane_bits;
        for (int begin = 0; begin < W; begin += width) {
            T total = 0;
            for (int l = begin; l < begin + width; ++l) total += lanes[l];
            std::fill(out + begin, out + begin + width, total);
        }
    }

    static constexpr Kernels<T> table() {
        return {Matrices<T>::all_matrices,
                gather,
                scatter,
                Products<T>::start,
                Products<T>::contract,
                Products<T>::add_sums,
                forward,
                backward,
                gradients,
                Phases<T>::gradients,
                Paulis<T>::expval,
                Paulis<T>::seed,
                Phases<T>::make_table,
                &transfers<T>,
                &trajectories<T>};
    }
};

}  // namespace

extern const InstructionSet QSIM_ISA = {
#define QSIM_TEXT(name) #name
#define QSIM_NAME(name) QSIM_TEXT(name)
    QSIM_NAME(QSIM_ISA),
    Stages<float>::table(),
    Stages<double>::table(),
};

}  // namespace qsim::cpu
