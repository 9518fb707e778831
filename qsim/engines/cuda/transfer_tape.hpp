// cpu::TransferProgram -> TransferTape, on the host.
#pragma once

#include <string>
#include <vector>

#include "../cpu/transfer.hpp"

namespace qsim::cuda {

// What launching needs to know of a stage.
struct TransferShape {
    int digits;   // of its tiles
    int matrix;   // see TransferStage
    int depends;  // what its maps and those of earlier stages read
    int records;
};

struct TransferImage {
    std::string bytes;
    int digits, num_maps, num_acts, num_groups;
    std::vector<TransferShape> stages;
};

// For float if `single`, else for double; a stage has at most so many maps with an angle.
TransferImage make_transfer_tape(const cpu::TransferProgram& program, bool single, int records);

}  // namespace qsim::cuda
