// Python's view of the planner and the CPU engine. Tensors come as addresses: the Python side holds
// them, contiguous.
#include <nanobind/nanobind.h>
#include <nanobind/stl/complex.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "../cuda/bindings.hpp"
#include "engine.hpp"
#include "trajectories.hpp"
#include "transfer.hpp"

namespace nb = nanobind;
using namespace qsim;

namespace {

using ElementaryRow = std::tuple<std::vector<double>, std::vector<Complex>, bool, bool>;
// (kind, elementary, parameter), scale, offset, qubits, matrix, least
using StepRow = std::tuple<std::vector<int32_t>, double, double, std::vector<int32_t>,
                           std::vector<Complex>, std::vector<double>>;
using GateRow = std::tuple<int32_t, int32_t, std::vector<StepRow>>;

// source, index, scale, offset
using AngleRow = std::tuple<int32_t, int32_t, double, double>;

LoweredGate make_gate(const GateRow& row) {
    const auto& [num_qubits, num_params, steps] = row;
    LoweredGate gate{num_qubits, num_params, {}};
    for (const auto& [numbers, scale, offset, qubits, matrix, least] : steps) {
        gate.steps.push_back(
            {numbers.at(0), numbers.at(1), numbers.at(2), scale, offset, qubits, matrix, least});
    }
    return gate;
}

GateTable make_table(const std::vector<ElementaryRow>& elementary,
                     const std::vector<GateRow>& gates) {
    GateTable table;
    for (const auto& [frequencies, projectors, diagonal, real] : elementary) {
        Elementary gate{{frequencies.at(0), frequencies.at(1)}, {}, diagonal, real};
        for (int e = 0; e < 8; ++e) gate.projectors[e / 4][e % 4] = projectors.at(e);
        table.elementary.push_back(gate);
    }
    for (const GateRow& row : gates) table.gates.push_back(make_gate(row));
    return table;
}

Program* make_program(const GateTable& table, const std::vector<GateRow>& own_rows, int num_qubits,
                      const std::vector<int32_t>& gates, const std::vector<int32_t>& qubits,
                      const std::vector<AngleRow>& rows) {
    std::vector<Angle> angles;
    for (const auto& [source, index, scale, offset] : rows)
        angles.push_back({source, index, scale, offset});
    std::vector<LoweredGate> own;
    for (const GateRow& row : own_rows) own.push_back(make_gate(row));
    size_t num_qubits_read = 0, num_angles_read = 0;
    for (int32_t id : gates) {
        const size_t number = static_cast<size_t>(id), known = table.gates.size();
        const LoweredGate& gate = number < known ? table.gates[number] : own.at(number - known);
        num_qubits_read += static_cast<size_t>(gate.num_qubits);
        num_angles_read += static_cast<size_t>(gate.num_params);
    }
    if (num_qubits_read != qubits.size() || num_angles_read != angles.size()) {
        throw std::invalid_argument("gates, qubits and angles do not belong together");
    }
    return new Program(table, own, num_qubits, gates, qubits, angles);
}

// Draws of the choices in the order in which trajectories make them.
std::vector<int32_t> draws_of(const Program& program) {
    std::vector<int32_t> found;
    const auto add = [&](int32_t choice) {
        if (choice >= 0) found.push_back(program.choices[static_cast<size_t>(choice)].draw);
    };
    for (const Item& item : program.items) {
        for (int f = item.factor_begin; f < item.factor_end; ++f)
            add(program.factors[static_cast<size_t>(f)].choice);
        if (item.kind == kChannelItem) add(program.dense[static_cast<size_t>(item.dense)].choice);
    }
    return found;
}

// Pauli strings of logical qubits (x, z and the number of Y of each), at the addresses of the
// program's final state.
cpu::Measurement make_measurement(const Program& program, const std::vector<uint64_t>& x,
                                  const std::vector<uint64_t>& z,
                                  const std::vector<int32_t>& num_y) {
    std::vector<std::pair<uint64_t, cpu::Pauli>> found;
    for (size_t k = 0; k < x.size(); ++k) {
        uint64_t mask = 0;
        cpu::Pauli pauli{0, num_y.at(k), 0, static_cast<int64_t>(k)};
        for (uint64_t bits = x[k]; bits; bits &= bits - 1)
            mask ^= program.columns.at(std::countr_zero(bits));
        for (uint64_t bits = z.at(k); bits; bits &= bits - 1)
            pauli.z ^= program.rows.at(std::countr_zero(bits));
        pauli.sign = static_cast<int32_t>(parity(pauli.z & program.offset));
        found.emplace_back(mask, pauli);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    cpu::Measurement made;
    for (const auto& [mask, pauli] : found) {
        const auto at = static_cast<int64_t>(made.paulis.size());
        if (made.groups.empty() || made.groups.back().x != mask)
            made.groups.push_back({mask, at, at});
        made.groups.back().end = at + 1;
        made.paulis.push_back(pauli);
    }
    return made;
}

// Weights and inputs of a call: addresses, lengths of a row, whether there is a row for each
// sample; the batch; threads; states to start from.
using CallRow =
    std::tuple<uintptr_t, uintptr_t, int64_t, int64_t, bool, bool, int64_t, int, uintptr_t>;

template <class T>
T* pointer(uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

template <class T>
cpu::Call<T> make_call(const Program& program, const CallRow& row) {
    const auto& [weights, inputs, num_weights, num_inputs, weights_batched, inputs_batched, batch,
                 threads, initial] = row;
    if (program.num_weights > num_weights || program.num_inputs > num_inputs) {
        throw std::invalid_argument("the program reads beyond the weights or inputs");
    }
    return {program,
            {pointer<const T>(weights), pointer<const T>(inputs)},
            {weights_batched, inputs_batched},
            {num_weights, num_inputs},
            batch,
            threads,
            pointer<const T>(initial)};
}

// A call and its numbers, from forward to backward.
template <class T>
struct Run {
    std::shared_ptr<const cpu::Prepared<T>> prepared;

    Run(const Program& program, const cpu::Measurement& measurement, const CallRow& call)
        : prepared(cpu::prepare(make_call<T>(program, call), measurement)) {}

    void forward(uintptr_t values, uintptr_t states, uintptr_t psi) const {
        cpu::forward<T>(*prepared, {pointer<T>(values), pointer<T>(states), pointer<T>(psi)});
    }

    void backward(uintptr_t psi, uintptr_t values, uintptr_t states, uintptr_t weights,
                  uintptr_t inputs, uintptr_t initial) const {
        cpu::backward<T>(*prepared, pointer<const T>(psi),
                         {pointer<const T>(values), pointer<const T>(states)},
                         {{pointer<T>(weights), pointer<T>(inputs)}, pointer<T>(initial)});
    }
};

// --- Exact noise
// ----------------------------------------------------------------------------------

// qubits, parameter, scale, offset, constant, cosine, sine
using TransferRow = std::tuple<std::vector<int32_t>, int32_t, double, double, std::vector<double>,
                               std::vector<double>, std::vector<double>>;

cpu::TransferGate* make_transfer_gate(int32_t num_qubits, int32_t num_params,
                                      const std::vector<TransferRow>& rows) {
    auto gate = std::make_unique<cpu::TransferGate>(cpu::TransferGate{num_qubits, num_params, {}});
    for (const auto& [qubits, param, scale, offset, constant, cosine, sine] : rows) {
        const size_t size = size_t{1} << (4 * qubits.size());
        for (const auto* matrix : {&constant, &cosine, &sine}) {
            if (matrix->size() != size && !(matrix->empty() && matrix != &constant))
                throw std::invalid_argument("a matrix of k qubits has 16^k entries");
        }
        gate->parts.push_back({qubits, param, scale, offset, constant, cosine, sine});
    }
    return gate.release();
}

cpu::TransferProgram* make_transfer_program(int num_qubits,
                                            const std::vector<const cpu::TransferGate*>& gates,
                                            const std::vector<int32_t>& qubits,
                                            const std::vector<AngleRow>& rows) {
    std::vector<Angle> angles;
    for (const auto& [source, index, scale, offset] : rows)
        angles.push_back({source, index, scale, offset});
    return new cpu::TransferProgram(num_qubits, gates, qubits, angles);
}

template <class T>
struct TransferRun : cpu::TransferRun<T> {
    TransferRun(const cpu::TransferProgram& program, const CallRow& row)
        : cpu::TransferRun<T>(call(program, row)) {}

    static cpu::TransferCall<T> call(const cpu::TransferProgram& program, const CallRow& row) {
        const auto& [weights, inputs, num_weights, num_inputs, weights_batched, inputs_batched,
                     batch, threads, initial] = row;
        if (program.num_weights > num_weights || program.num_inputs > num_inputs) {
            throw std::invalid_argument("the program reads beyond the weights or inputs");
        }
        return {program,
                {{pointer<const T>(weights), pointer<const T>(inputs)},
                 {weights_batched ? num_weights : 0, inputs_batched ? num_inputs : 0},
                 batch},
                {num_weights, num_inputs},
                threads,
                pointer<const T>(initial)};
    }

    void forward(const std::vector<int64_t>& components, uintptr_t values) const {
        cpu::TransferRun<T>::forward(components, pointer<T>(values));
    }

    void backward(const std::vector<int64_t>& components, uintptr_t cotangent, uintptr_t weights,
                  uintptr_t inputs, uintptr_t initial) const {
        T* const wanted[2] = {pointer<T>(weights), pointer<T>(inputs)};
        cpu::TransferRun<T>::backward(components, pointer<const T>(cotangent), wanted,
                                      pointer<T>(initial));
    }
};

template <class T>
void bind_transfer(nb::module_& module) {
    using Unlocked = nb::call_guard<nb::gil_scoped_release>;
    nb::class_<TransferRun<T>>(module, "TransferRun")
        .def(nb::init<const cpu::TransferProgram&, const CallRow&>(), nb::keep_alive<1, 2>())
        .def("forward_bytes", &TransferRun<T>::forward_bytes)
        .def("backward_bytes", &TransferRun<T>::backward_bytes)
        .def("forward", &TransferRun<T>::forward, Unlocked())
        .def("backward", &TransferRun<T>::backward, Unlocked());
}

// --- Noise by trajectories
// ------------------------------------------------------------------------

// Seeds: their address and number; trajectories of each sample; whether initial states are batched.
using DrawsRow = std::tuple<uintptr_t, int64_t, int64_t, bool>;

template <class T>
struct TrajectoryRun : cpu::TrajectoryRun<T> {
    TrajectoryRun(const Program& program, const cpu::Measurement& measurement, const CallRow& row,
                  const DrawsRow& draws)
        : cpu::TrajectoryRun<T>(call(make_call<T>(program, row), measurement, draws)) {}

    static cpu::TrajectoryCall<T> call(const cpu::Call<T>& given,
                                       const cpu::Measurement& measurement, const DrawsRow& draws) {
        const auto& [seeds, num_seeds, trajectories, batched] = draws;
        return {given.program,
                measurement,
                {{given.data[0], given.data[1]},
                 {given.batched[0] ? given.size[0] : 0, given.batched[1] ? given.size[1] : 0},
                 given.batch},
                {given.size[0], given.size[1]},
                given.threads,
                given.initial,
                batched ? int64_t{2} << given.program.num_qubits : 0,
                pointer<const uint64_t>(seeds),
                num_seeds,
                trajectories};
    }

    void forward(uintptr_t values) const { cpu::TrajectoryRun<T>::forward(pointer<T>(values)); }

    void samples(uintptr_t states) const {
        cpu::TrajectoryRun<T>::samples(pointer<int64_t>(states));
    }

    void backward(uintptr_t cotangent, uintptr_t weights, uintptr_t inputs) const {
        T* const wanted[2] = {pointer<T>(weights), pointer<T>(inputs)};
        cpu::TrajectoryRun<T>::backward(pointer<const T>(cotangent), wanted);
    }
};

template <class T>
void bind_trajectories(nb::module_& module) {
    using Unlocked = nb::call_guard<nb::gil_scoped_release>;
    nb::class_<TrajectoryRun<T>>(module, "TrajectoryRun")
        .def(nb::init<const Program&, const cpu::Measurement&, const CallRow&, const DrawsRow&>(),
             nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
        .def("forward_bytes", &TrajectoryRun<T>::forward_bytes)
        .def("backward_bytes", &TrajectoryRun<T>::backward_bytes)
        .def("forward", &TrajectoryRun<T>::forward, Unlocked())
        .def("samples", &TrajectoryRun<T>::samples, Unlocked())
        .def("backward", &TrajectoryRun<T>::backward, Unlocked());
}

template <class T>
void bind_engine(nb::module_ module) {
    using Unlocked = nb::call_guard<nb::gil_scoped_release>;
    module.def("state_size", &cpu::state_size<T>);
    nb::class_<Run<T>>(module, "Run")
        .def(nb::init<const Program&, const cpu::Measurement&, const CallRow&>(),
             nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
        .def("forward", &Run<T>::forward, Unlocked())
        .def("backward", &Run<T>::backward, Unlocked());
    bind_transfer<T>(module);
    bind_trajectories<T>(module);
}

}  // namespace

NB_MODULE(_native, module) {
    nb::set_leak_warnings(
        false);  // programs live as long as their circuits, also past the interpreter's end
    module.doc() = "Planner and CPU engine of qsim, in C++, and what its GPU engine reads.";
    nb::class_<GateTable>(module, "GateTable")
        .def("__init__", [](GateTable* self, const std::vector<ElementaryRow>& elementary,
                            const std::vector<GateRow>& gates) {
            new (self) GateTable(make_table(elementary, gates));
        });
    nb::class_<Program>(module, "Program")
        .def(nb::new_(&make_program))
        .def_ro("num_qubits", &Program::num_qubits)
        .def_prop_ro("draws", &draws_of)
        .def_prop_ro("num_items", [](const Program& program) { return program.items.size(); });
    nb::class_<cpu::Measurement>(module, "Measurement").def(nb::new_(&make_measurement));
    nb::class_<cpu::TransferGate>(module, "TransferGate").def(nb::new_(&make_transfer_gate));
    nb::class_<cpu::TransferProgram>(module, "TransferProgram")
        .def(nb::new_(&make_transfer_program))
        .def_prop_ro("num_steps",
                     [](const cpu::TransferProgram& program) { return program.steps.size(); })
        .def_prop_ro("num_angles", [](const cpu::TransferProgram& program) {
            return std::count_if(
                program.factors.begin(), program.factors.end(),
                [](const auto& factor) { return factor.angle.source != kConstant; });
        });
    bind_engine<float>(module.def_submodule("float32"));
    bind_engine<double>(module.def_submodule("float64"));
    cuda::bind(module.def_submodule("cuda"));
    nb::class_<cpu::Limits>(module, "Limits")
        .def(nb::init<>())
        .def_rw("tile_bits", &cpu::Limits::tile_bits)
        .def_rw("stage_bits", &cpu::Limits::stage_bits)
        .def_rw("cached_bits", &cpu::Limits::cached_bits)
        .def_rw("sample_qubits", &cpu::Limits::sample_qubits)
        .def_rw("layer_qubits", &cpu::Limits::layer_qubits);
    module.def("use_limits", &cpu::use_limits);
    module.def("instruction_sets", &cpu::instruction_sets);
    module.def("use_instruction_set", &cpu::use_instruction_set);
}
