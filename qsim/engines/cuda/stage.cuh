// One stage of one sample: its tiles one after another, from the state to shared memory and back.
#pragma once

#include "gradients.cuh"
#include "groups.cuh"
#include "paulis.cuh"

namespace qsim::cuda {

// Shared memory holds psi, lambda on the way back, the batch's matrices, which address bits the
// halves of a tile's place have, and the sums of the warps.
class StageRun {
  public:
    StageRun(const Arguments& args, bool back)
        : args_(args),
          tape_(*args.tape),
          stage_(tape_.section<Stage>(tape_.stages)[args.stage]),
          sample_(static_cast<int>(blockIdx.x)) {
        const int size = 1 << stage_.bits;
        tile_.bits = stage_.bits;
        tile_.psi = reinterpret_cast<Complex*>(shared_memory());
        tile_.lambda = back ? tile_.psi + size : nullptr;
        matrices_ = reinterpret_cast<Matrix*>(tile_.psi + (back ? 2 : 1) * size);
        tile_.matrices = matrices_;
        halves_ = reinterpret_cast<u64*>(matrices_ + kBatchActs);
        tile_.sums = reinterpret_cast<Real*>(halves_ + 2 * kHalf);
        for (int k = threadIdx.x; k < 2 * kHalf; k += blockDim.x) {
            u64 address = 0;
            for (int b = 0; b < kHalfBits; ++b) {
                const int vector = b + (k < kHalf ? 0 : kHalfBits);
                if (k >> b & 1 && vector < stage_.bits) address ^= stage_.vectors[vector];
            }
            halves_[k] = address;
        }
        __syncthreads();
    }

    int num_tiles() const { return 1 << (tape_.bits - stage_.bits); }
    bool whole() const { return tape_.num_stages == 1 && tape_.bits == stage_.bits; }

    void enter(int number) {
        tile_.place = spread(static_cast<u64>(number), stage_.pivots, stage_.bits);
        tile_number_ = number;
    }

    // visit(address, amplitude of the tile at it) for the tile's amplitudes.
    template <class Visit>
    void each(Complex* amplitudes, Visit visit) const {
        for (u32 c = threadIdx.x; c < 1u << stage_.bits; c += blockDim.x) {
            const u64 address =
                tile_.place ^ halves_[c & (kHalf - 1)] ^ halves_[kHalf + (c >> kHalfBits)];
            visit(address, amplitudes[swizzle(c)]);
        }
    }

    void load(const void* from, Complex* to) const {
        const Complex* state = static_cast<const Complex*>(from) + offset(tape_.bits);
        each(to, [&](u64 address, Complex& amplitude) { amplitude = state[address]; });
        __syncthreads();
    }

    void store(const Complex* from, void* to) const {
        Complex* state = static_cast<Complex*>(to) + offset(tape_.bits);
        each(const_cast<Complex*>(from),
             [&](u64 address, Complex& amplitude) { state[address] = amplitude; });
    }

    // What a run begins with: args.begin, or |0...0>.
    void begin() const {
        const Complex* given = static_cast<const Complex*>(args_.begin);
        const u64 size = u64{1} << tape_.num_qubits;
        each(tile_.psi, [&](u64 address, Complex& amplitude) {
            amplitude = {given || address ? Real(0) : Real(1), 0};
            if (given && address < size) amplitude = given[offset(tape_.num_qubits) + address];
        });
        __syncthreads();
    }

    // Expectation values and states, of a state that is one tile.
    void measure() const {
        const auto at = [&](u64 p) { return tile_.psi[swizzle(static_cast<u32>(p))]; };
        Real* values = static_cast<Real*>(args_.values);
        for (int k = static_cast<int>(threadIdx.x) / kWarp; values && k < args_.num_paulis;
             k += num_warps()) {
            const double value = string_sum(args_.paulis[k], 0, u64{1} << tape_.bits, at);
            if (threadIdx.x % kWarp == 0)
                values[args_.num_paulis * static_cast<u64>(sample_) + args_.paulis[k].column] =
                    static_cast<Real>(value);
        }
        Complex* states = static_cast<Complex*>(args_.states);
        for (u64 x = threadIdx.x; states && x < u64{1} << tape_.num_qubits; x += blockDim.x)
            states[offset(tape_.num_qubits) + x] = at(address_of(tape_, x));
    }

    // lambda of a state that is one tile, from the cotangent.
    void seed() const {
        if (args_.paulis) {
            const Real* weights = static_cast<const Real*>(args_.cotangent) +
                                  args_.num_paulis * static_cast<u64>(sample_);
            const auto at = [&](u64 p) { return tile_.psi[swizzle(static_cast<u32>(p))]; };
            each(tile_.lambda, [&](u64 address, Complex& amplitude) {
                amplitude = weighted_sum(args_.paulis, args_.num_paulis, weights, address, at);
            });
        } else {
            const Complex* given =
                static_cast<const Complex*>(args_.cotangent) + offset(tape_.num_qubits);
            each(tile_.lambda, [](u64, Complex& amplitude) { amplitude = {0, 0}; });
            __syncthreads();
            for (u64 x = threadIdx.x; x < u64{1} << tape_.num_qubits; x += blockDim.x)
                tile_.lambda[swizzle(static_cast<u32>(address_of(tape_, x)))] =
                    Real(0.5) * given[x];
        }
        __syncthreads();
    }

    Complex* psi() const { return tile_.psi; }
    Complex* lambda() const { return tile_.lambda; }

  protected:
    static constexpr int kHalf = 1 << kHalfBits;

    bool is_first_tile() const { return tile_number_ == static_cast<int>(blockIdx.y); }
    u64 offset(int bits) const { return static_cast<u64>(sample_) << bits; }

    const Arguments& args_;
    const Tape& tape_;
    const Stage& stage_;
    const int sample_;
    Tile tile_{};
    Matrix* matrices_;
    u64* halves_;  // addresses of the lower and of the upper bits of a place
    int tile_number_ = 0;
};

}  // namespace qsim::cuda
