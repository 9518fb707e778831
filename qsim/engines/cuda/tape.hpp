// Program -> Tape, on the host.
#pragma once

#include <string>
#include <vector>

#include "../../plan/planner.hpp"

namespace qsim::cuda {

// What launching needs to know of a stage of the tape.
struct StageShape {
    int bits;    // of its tiles
    int matrix;  // see Stage
    int groups;  // number of the one after its last
    int choice;  // that the state makes before its tiles are entered, or -1
    int records;
};

// A tape as it goes to the device.
struct TapeImage {
    std::string bytes;
    int bits, group_bits, num_acts, num_diagonal;
    std::vector<int> choices;  // how many operators each has
    std::vector<StageShape> stages;
    std::vector<int> first_groups;  // by `Arguments::wanted`, see Arguments
};

// For complex64 if `single`, else for complex128; for a run that goes `back`, or only forward.
TapeImage make_tape(const Program& program, bool single, bool back);

}  // namespace qsim::cuda
