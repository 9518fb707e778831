// The loops over amplitudes. Compiled once for each instruction set, so nothing here may leave its
// own namespace but the table at the end: an inline function shared with other files could end up
// compiled for the wrong processor.
#include "doubles.hpp"
#include "paulis.hpp"
#include "phases.hpp"

namespace qsim::cpu {
namespace {

// Whole runs of one block: sweeps over tiles.
template <class T, int W>
struct Block {
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

    static const T* table_of(const View<T>& view, const Operation& operation) {
        return view.phases + (int64_t{2} * operation.first << view.num_qubits);
    }

    static void forward(const View<T>& view, int64_t first, T* psi, T* own) {
        Matrices<T, W>::all_matrices(view, first, own);
        std::memset(psi, 0, (sizeof(T) * 2 * W) << view.num_qubits);
        for (int l = 0; l < W; ++l) psi[l] = 1;
        for (const Sweep* sweep = view.sweeps; sweep != view.sweeps + view.num_sweeps; ++sweep) {
            each_tile(view, *sweep, [&](const Tile& tile) {
                for (int k = sweep->begin; k < sweep->end; ++k) {
                    const Operation& operation = view.operations[k];
                    switch (operation.pass) {
                        case kPhases:
                            Phases<T, W>::apply(table_of(view, operation), tile, 1 << sweep->bits,
                                                psi);
                            break;
                        case kDouble:
                            Doubles<T, W>::apply(view, operation, own, tile, psi);
                            break;
                        default:
                            Items<T, W>::apply_single(view, operation, own, tile, psi);
                    }
                }
            });
        }
    }

    static void backward(const View<T>& view, int64_t first, T* psi, T* lambda, T* scratch,
                         const Gradients<T>& out) {
        T* own = scratch;
        T* sums = own + int64_t{8} * W * view.num_items;
        T* phase_sums = sums + int64_t{4} * W * view.num_items;
        Matrices<T, W>::all_matrices(view, first, own);
        std::memset(sums, 0, sizeof(T) * 4 * W * view.num_items);
        for (int s = view.num_sweeps - 1; s >= 0 && view.sweeps[s].end > out.first; --s) {
            const Sweep* sweep = view.sweeps + s;
            const int stop = sweep->begin > out.first ? sweep->begin : out.first;
            each_tile(view, *sweep, [&](const Tile& tile) {
                for (int k = sweep->end - 1; k >= stop; --k) {
                    const Operation& operation = view.operations[k];
                    switch (operation.pass) {
                        case kPhases:
                            Phases<T, W>::undo(table_of(view, operation), tile, 1 << sweep->bits,
                                               psi, lambda,
                                               phase_sums + (static_cast<int64_t>(operation.second)
                                                             << view.num_qubits));
                            break;
                        case kDouble:
                            Doubles<T, W>::undo(view, operation, own, tile, psi, lambda, sums);
                            break;
                        default:
                            Items<T, W>::undo_single(view, operation, own, tile, psi, lambda, sums);
                    }
                }
            });
            for (int k = sweep->end - 1; k >= stop; --k) {
                const Operation& operation = view.operations[k];
                if (operation.pass != kPhases) continue;
                Phases<T, W>::add_sums(
                    view, view.layers[operation.first],
                    phase_sums + (static_cast<int64_t>(operation.second) << view.num_qubits),
                    out.generators);
            }
        }
        for (int k = 0; k < view.num_items; ++k) {
            if (!view.items[k].depends) continue;
            const T* from = sums + int64_t{4} * W * k;
            if (view.batched[k]) {
                Matrices<T, W>::factor_gradients(view, view.items[k], first, from, out);
            } else {
                for (int g = 0; g < 4; ++g) {
                    double total = 0;
                    for (int l = 0; l < W; ++l) total += from[g * W + l];
                    out.generators[4 * k + g] += total;
                }
            }
        }
    }

    static constexpr Kernels<T> table() {
        return {forward,  Paulis<T, W>::expval,     Paulis<T, W>::seed,
                backward, Phases<T, W>::make_table, W};
    }
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
