// A program as kernels read it: one piece of memory that the host writes (tape.cpp) and the device
// walks through. Plain structs, because NVRTC has no standard headers.
#pragma once

namespace qsim::cuda {

using u64 = unsigned long long;
using u32 = unsigned int;

// A thread holds 2^kGroupBits amplitudes in registers, a block in shared memory 2^kTileBits of two
// states, on the way back, or twice as many of one.
template <class T>
constexpr int kGroupBits = sizeof(T) == 4 ? 4 : 3;
template <class T>
constexpr int kTileBits = sizeof(T) == 4 ? 12 : 11;
constexpr int kMostTileBits = 13;
constexpr int kMostGroupBits = 4;
// Tiles of a state in device memory hold its lowest address bits: runs of whole cache sectors.
constexpr int kRunBits = 3;
// Acts whose matrices a block holds at a time.
constexpr int kBatchActs = 64;
constexpr int kMostQubits = 40;
constexpr int kWarpSize = 32;

// The tile's place in two halves, whose address bits a block looks up.
constexpr int kHalfBits = (kMostTileBits + 1) / 2;

// Shared memory of a block that runs a stage: psi, and on the way back lambda; the matrices of a
// batch; the halves of places; and so many sums for each act.
inline u64 stage_bytes(int bits, int real, int states, int sums) {
    const u64 state = u64(2 * real) << bits, matrices = u64(8 * real) * kBatchActs,
              halves = 2 * sizeof(u64) << kHalfBits;
    return states * state + matrices + halves + u64(real) * kBatchActs * sums;
}

// Rows of 16 amplitudes are stored in other orders, so that threads that stand 2, 4 or 8 apart meet
// different banks. Linear over GF(2).
constexpr u32 swizzle(u32 place) { return place ^ (place >> 4 & 15); }

// One 2x2 matrix of a product: projectors[0], or sum_k projectors[k] exp(i frequencies[k] angle) at
// the angle scale * source[index] + offset.
struct Factor {
    int source, index;  // source: -1 none, 0 weights, 1 inputs
    double scale, offset;
    double frequencies[2];
    double projectors[2][8];
    int choice, unused;  // whose operator stands in for the matrix, or -1
};

// A channel, of which each trajectory takes one operator; see qsim::Choice. It is free if its
// chances do not depend on the state.
struct Choice {
    int draw, count, entries, free;
    u32 operators;  // first entry
    u32 chances;    // least[count], then weights[count]
};

// The qubit is 1 at place ^ tile ^ local where the parities of row & place, local_row & tile and
// bit `local` of the pattern, and flip, add up to 1: the tile's place in the state, the coset's in
// the tile, the amplitude's in the coset.
struct Row {
    u64 row;
    u32 local_row;
    unsigned short pattern;
    unsigned short flip;
};

// A matrix on one qubit, or a constant one on all qubits of a group of its own.
enum ActKind : int { kDiagonalAct, kRealAct, kDenseAct, kMatrixAct };
struct Act {
    int kind;
    int axis;     // of the group's basis; of a matrix: how many qubits it has
    int depends;  // bit `source` is set if a factor reads it
    int factor_begin, factor_end;
    int control_begin, control_end;  // rows, all 1 where it acts; of a matrix: its qubits
    u32 dense;                       // first entry of a constant matrix
    int choice;                      // whose operators stand in for the matrix, or -1
    int record;                      // where its stage keeps what it is given, or -1
    Row target;
};

// Acts on cosets of the span of the basis, in registers. Coset representatives have zeros at the
// pivots.
struct Group {
    int act_begin, act_end;
    u32 basis[kMostGroupBits];   // in places of the tile, swizzled
    int pivots[kMostGroupBits];  // bits, ascending
};

struct Batch {
    int group_begin, group_end;
    int act_begin, act_end;
    int choice;  // that the state makes before the first act, or -1
};

// Batches over tiles: cosets of the span of `vectors`, whose representatives have zeros at the
// pivots. A stage of a matrix that no group holds has one act and no batches.
struct Stage {
    int batch_begin, batch_end;
    int bits;    // of a tile
    int matrix;  // its act, or -1
    u64 vectors[kMostTileBits];
    int pivots[kMostTileBits];  // bits, ascending
};

// Where a parameter is read.
struct Use {
    int act, factor;
};

// Sections of the tape, in bytes from its beginning.
struct Tape {
    int num_qubits, bits;  // bits of an address: at least kGroupBits
    int num_acts, num_stages;
    int num_parameters[2];
    int num_draws, num_choices;
    u64 offset;  // basis state x ends at the columns of its bits ^ offset
    u64 columns[kMostQubits];
    u64 readers[kMostQubits];  // qubit q is 1 at address p if parity(readers[q] & (p ^ offset)) is
    u32 stages, batches, groups, acts, rows, factors, dense, uses, choices, operators, chances;
    u32 use_begins[2];  // by source: [num_parameters + 1]

    template <class Entry>
    const Entry* section(u32 at) const {
        return reinterpret_cast<const Entry*>(reinterpret_cast<const char*>(this) + at);
    }
};

// A Pauli string at the addresses of the final state: P|p> = i^num_y (-1)^(parity(z & p) ^ sign)
// |p ^ x>.
struct Pauli {
    u64 x, z;
    int num_y, sign;
    int column, unused;
};

// What the state chose, and what the operator is multiplied by.
struct Decision {
    double scale;
    int chosen, unused;
};

// What a kernel is launched with; kernels.cu says who reads what. States are (re, im) at addresses,
// [batch, 2^bits], unless told otherwise.
struct Arguments {
    const Tape* tape;
    const void* sources[2];  // weights, inputs
    const void* begin;       // states to start from, or null
    void* psi;
    void* lambda;
    const Pauli* paulis;
    const void* cotangent;  // of expectation values [batch, paulis], or states [batch, 2^n]
    void* values;           // expectation values [batch, paulis]
    void* states;           // in logical order, [batch, 2^n]
    void* sums;             // Im<lambda|P|psi> for P = I, X, Y, Z: [batch, parts, acts, 4]
    void* gradients[2];     // like sources
    long long strides[2];   // of sources, from sample to sample: 0 if the batch shares a row
    int batch, parts;
    int stage, num_paulis;
    int wanted;       // bit `source` is set if its gradient is
    int first_group;  // groups before it need not be undone
};

// And the kernels of trajectories.cu, whose samples are trajectories.
struct TrajectoryArguments : Arguments {
    const long long* seeds;  // of samples, used again from the first one on
    Decision* decisions;     // [batch, choices]
    double* squares;         // of psi, and of what operators make of it: [batch, parts, 1 + count]
    const void* from;        // psi as a stage is given it, unless it is the first
    void* records;           // what acts are given: [records of the stage, batch, 2^bits]
    long long* drawn;        // basis states [batch]
    long long num_seeds, trajectories;  // of a sample
    long long first;                    // number of the first trajectory
};

}  // namespace qsim::cuda
