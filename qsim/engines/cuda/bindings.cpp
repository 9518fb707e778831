// Python's view of the tape: bytes that are copied to the device.
#include "bindings.hpp"

#include <nanobind/stl/vector.h>

#include <algorithm>

#include "../cpu/engine.hpp"
#include "tape.cuh"
#include "tape.hpp"
#include "transfer_tape.cuh"
#include "transfer_tape.hpp"

namespace nb = nanobind;

namespace qsim::cuda {

namespace {

nb::bytes to_bytes(const std::string& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

nb::bytes paulis(const cpu::Measurement& measurement) {
    std::string bytes;
    for (const cpu::PauliGroup& group : measurement.groups) {
        for (int64_t k = group.begin; k < group.end; ++k) {
            const cpu::Pauli& from = measurement.paulis[static_cast<size_t>(k)];
            const Pauli pauli{group.x, from.z, from.num_y, from.sign, static_cast<int>(from.column),
                              0};
            bytes.append(reinterpret_cast<const char*>(&pauli), sizeof(Pauli));
        }
    }
    return to_bytes(bytes);
}

// Where components are read, in order of their places.
nb::bytes readings(const std::vector<int64_t>& components) {
    std::vector<Reading> found;
    for (size_t k = 0; k < components.size(); ++k)
        found.push_back({static_cast<u64>(components[k]), static_cast<int>(k), 0});
    std::stable_sort(found.begin(), found.end(),
                     [](const Reading& a, const Reading& b) { return a.place < b.place; });
    return nb::bytes(found.data(), found.size() * sizeof(Reading));
}

void bind_transfer(nb::module_ module) {
    nb::class_<TransferShape>(module, "TransferShape")
        .def_ro("digits", &TransferShape::digits)
        .def_ro("matrix", &TransferShape::matrix)
        .def_ro("depends", &TransferShape::depends)
        .def_ro("records", &TransferShape::records);
    nb::class_<TransferImage>(module, "TransferTape")
        .def(nb::new_([](const cpu::TransferProgram& program, bool single, int records) {
            return new TransferImage(make_transfer_tape(program, single, records));
        }))
        .def_prop_ro("bytes", [](const TransferImage& tape) { return to_bytes(tape.bytes); })
        .def_ro("digits", &TransferImage::digits)
        .def_ro("num_maps", &TransferImage::num_maps)
        .def_ro("num_acts", &TransferImage::num_acts)
        .def_ro("num_groups", &TransferImage::num_groups)
        .def_ro("stages", &TransferImage::stages);
    module.def("readings", &readings);
    module.def("transfer_bytes", &transfer_bytes);
}

}  // namespace

void bind(nb::module_ module) {
    nb::class_<StageShape>(module, "StageShape")
        .def_ro("bits", &StageShape::bits)
        .def_ro("matrix", &StageShape::matrix)
        .def_ro("groups", &StageShape::groups)
        .def_ro("choice", &StageShape::choice)
        .def_ro("records", &StageShape::records);
    nb::class_<TapeImage>(module, "Tape")
        .def(nb::new_([](const Program& program, bool single, bool back) {
            return new TapeImage(make_tape(program, single, back));
        }))
        .def_prop_ro("bytes", [](const TapeImage& tape) { return to_bytes(tape.bytes); })
        .def_ro("bits", &TapeImage::bits)
        .def_ro("group_bits", &TapeImage::group_bits)
        .def_ro("num_acts", &TapeImage::num_acts)
        .def_ro("num_diagonal", &TapeImage::num_diagonal)
        .def_ro("choices", &TapeImage::choices)
        .def_ro("stages", &TapeImage::stages)
        .def_ro("first_groups", &TapeImage::first_groups);
    bind_transfer(module);
    module.def("paulis", &paulis);
    module.def("stage_bytes", &stage_bytes);
}

}  // namespace qsim::cuda
