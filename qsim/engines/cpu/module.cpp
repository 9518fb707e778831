// Python's view of the planner and the CPU engine. Tensors come as addresses: the Python side holds
// them, contiguous.
#include <nanobind/nanobind.h>
#include <nanobind/stl/complex.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <tuple>

#include "engine.hpp"

namespace nb = nanobind;
using namespace qsim;

namespace {

using ElementaryRow = std::tuple<std::vector<double>, std::vector<Complex>, bool, bool>;
using StepRow = std::tuple<std::vector<int32_t>, double, double>;
using GateRow = std::tuple<int32_t, int32_t, std::vector<StepRow>>;
using PauliRow = std::tuple<uint64_t, uint64_t, int32_t>;

GateTable make_table(const std::vector<ElementaryRow>& elementary,
                     const std::vector<GateRow>& gates) {
    GateTable table;
    for (const auto& [frequencies, projectors, diagonal, real] : elementary) {
        Elementary gate{{frequencies.at(0), frequencies.at(1)}, {}, diagonal, real};
        for (int e = 0; e < 8; ++e) gate.projectors[e / 4][e % 4] = projectors.at(e);
        table.elementary.push_back(gate);
    }
    for (const auto& [num_qubits, num_params, steps] : gates) {
        LoweredGate gate{num_qubits, num_params, {}};
        for (const auto& [row, scale, offset] : steps) {
            gate.steps.push_back({row.at(0),
                                  row.at(1),
                                  {row.at(2), row.at(3)},
                                  row.at(4),
                                  row.at(5),
                                  scale,
                                  offset});
        }
        table.gates.push_back(gate);
    }
    return table;
}

Program* make_program(const GateTable& table, int num_qubits, const std::vector<int32_t>& gates,
                      const std::vector<int32_t>& qubits, const std::vector<int32_t>& sources,
                      const std::vector<int32_t>& indices, const std::vector<double>& scales,
                      const std::vector<double>& offsets) {
    std::vector<Angle> angles(sources.size());
    for (size_t k = 0; k < angles.size(); ++k) {
        angles[k] = {sources[k], indices.at(k), scales.at(k), offsets.at(k)};
    }
    size_t num_qubits_read = 0, num_angles_read = 0;
    for (int32_t id : gates) {
        num_qubits_read += table.gates.at(id).num_qubits;
        num_angles_read += table.gates.at(id).num_params;
    }
    if (num_qubits_read != qubits.size() || num_angles_read != angles.size()) {
        throw std::invalid_argument("gates, qubits and angles do not belong together");
    }
    return new Program(table, num_qubits, gates, qubits, angles);
}

// Pauli strings of logical qubits, at the addresses of the program's final state.
struct Measurement {
    std::vector<cpu::Pauli> paulis;

    Measurement(const Program& program, const std::vector<PauliRow>& rows) {
        for (const auto& [x, z, num_y] : rows) {
            cpu::Pauli pauli{0, 0, num_y, 0};
            for (int q = 0; q < program.num_qubits; ++q) {
                if (x >> q & 1) pauli.x ^= program.columns[q];
                if (z >> q & 1) pauli.z ^= program.rows[q];
            }
            pauli.sign = static_cast<int32_t>(parity(pauli.z & program.offset));
            paulis.push_back(pauli);
        }
    }
};

// Weights and inputs of a call: addresses, lengths of a row, whether there is a row for each
// sample; the batch; threads.
using CallRow = std::tuple<uintptr_t, uintptr_t, int64_t, int64_t, bool, bool, int64_t, int>;

template <class T>
T* pointer(uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

template <class T>
cpu::Call<T> make_call(const Program& program, const CallRow& row) {
    const auto& [weights, inputs, num_weights, num_inputs, weights_batched, inputs_batched, batch,
                 threads] = row;
    if (program.num_weights > num_weights || program.num_inputs > num_inputs) {
        throw std::invalid_argument("the program reads beyond the weights or inputs");
    }
    return {program,
            {pointer<const T>(weights), pointer<const T>(inputs)},
            {weights_batched, inputs_batched},
            {num_weights, num_inputs},
            batch,
            threads};
}

template <class T>
void bind_engine(nb::module_ module) {
    module.def("state_size", &cpu::state_size<T>);
    module.def("forward",
               [](const Program& program, const CallRow& call, const Measurement& measurement,
                  uintptr_t values, uintptr_t states, uintptr_t psi) {
                   const nb::gil_scoped_release release;
                   cpu::forward<T>(make_call<T>(program, call), measurement.paulis,
                                   {pointer<T>(values), pointer<T>(states), pointer<T>(psi)});
               });
    module.def("backward", [](const Program& program, const CallRow& call, uintptr_t psi,
                              const Measurement& measurement, uintptr_t values, uintptr_t states,
                              uintptr_t weights, uintptr_t inputs) {
        const nb::gil_scoped_release release;
        T* const gradients[2] = {pointer<T>(weights), pointer<T>(inputs)};
        cpu::backward<T>(make_call<T>(program, call), pointer<const T>(psi),
                         cpu::Cotangent<T>{measurement.paulis, pointer<const T>(values),
                                           pointer<const T>(states)},
                         gradients);
    });
}

}  // namespace

NB_MODULE(_native, module) {
    nb::set_leak_warnings(
        false);  // programs live as long as their circuits, also past the interpreter's end
    module.doc() = "Planner and CPU engine of qsim, in C++.";
    nb::class_<GateTable>(module, "GateTable")
        .def("__init__", [](GateTable* self, const std::vector<ElementaryRow>& elementary,
                            const std::vector<GateRow>& gates) {
            new (self) GateTable(make_table(elementary, gates));
        });
    nb::class_<Program>(module, "Program")
        .def(nb::new_(&make_program))
        .def_ro("num_qubits", &Program::num_qubits)
        .def_prop_ro("num_items", [](const Program& program) { return program.items.size(); });
    nb::class_<Measurement>(module, "Measurement")
        .def(nb::init<const Program&, const std::vector<PauliRow>&>());
    bind_engine<float>(module.def_submodule("float32"));
    bind_engine<double>(module.def_submodule("float64"));
    module.def("instruction_sets", &cpu::instruction_sets);
    module.def("use_instruction_set", &cpu::use_instruction_set);
}
