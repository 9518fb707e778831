// What is launched. A state that is one tile takes one launch of `forward`, and on the way back one
// of `backward` and one of `gradients`; a larger one takes a launch for each stage, and `expval`,
// `seed`, `states` beside them.
#include "stage.cuh"
#include "wide.cuh"

namespace qsim::cuda {

namespace {

// A stage of gates.
class GateRun : public StageRun {
  public:
    GateRun(const Arguments& args, bool back) : StageRun(args, back), back_(back) {}

    void forward() const {
        const Batch* batches = tape_.section<Batch>(tape_.batches);
        for (int b = stage_.batch_begin; b < stage_.batch_end; ++b) {
            prepare(batches[b]);
            for (int g = batches[b].group_begin; g < batches[b].group_end; ++g) {
                forward_group(tape_, tile_, batches[b], tape_.section<Group>(tape_.groups)[g]);
                __syncthreads();
            }
        }
    }

    void backward() const {
        const Batch* batches = tape_.section<Batch>(tape_.batches);
        for (int b = stage_.batch_end; b-- > stage_.batch_begin;) {
            if (batches[b].group_end <= args_.first_group) break;
            prepare(batches[b]);
            for (int g = batches[b].group_end; g-- > batches[b].group_begin;) {
                if (g < args_.first_group) break;
                backward_group(tape_, tile_, batches[b], tape_.section<Group>(tape_.groups)[g],
                               args_.wanted);
                __syncthreads();
            }
            keep_sums(batches[b]);
        }
    }

  private:
    void prepare(const Batch& batch) const {
        const Act* acts = tape_.section<Act>(tape_.acts);
        for (int a = batch.act_begin + static_cast<int>(threadIdx.x); a < batch.act_end;
             a += blockDim.x) {
            matrices_[a - batch.act_begin] =
                act_matrix(args_, tape_.section<Factor>(tape_.factors), acts[a].factor_begin,
                           acts[a].factor_end, sample_);
        }
        const int count = 4 * kBatchActs * num_warps();
        for (int k = threadIdx.x; back_ && k < count; k += blockDim.x) tile_.sums[k] = 0;
        __syncthreads();
    }

    // Adds the warps' sums, in their order, to those of the block's earlier tiles.
    void keep_sums(const Batch& batch) const {
        const u64 part = static_cast<u64>(sample_) * args_.parts + blockIdx.y;
        Real* to = static_cast<Real*>(args_.sums) + 4 * (part * tape_.num_acts + batch.act_begin);
        keep_warp_sums(tile_.sums, 4 * kBatchActs, 4 * (batch.act_end - batch.act_begin),
                       is_first_tile(), to);
        __syncthreads();
    }

    const bool back_;
};

}  // namespace

// One stage of psi, which the first stage makes from `from`; a state that is one tile is measured
// as well. Grid (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads)
    forward(const __grid_constant__ Arguments args) {
    GateRun run(args, false);
    for (int tile = static_cast<int>(blockIdx.y); tile < run.num_tiles(); tile += gridDim.y) {
        run.enter(tile);
        if (args.stage == 0) {
            run.begin();
        } else {
            run.load(args.psi, run.psi());
        }
        run.forward();
        if (run.whole()) run.measure();
        if (args.psi) run.store(run.psi(), args.psi);
        __syncthreads();
    }
}

// Undoes one stage of psi and lambda and leaves the sums of its acts. Of a state that is one tile,
// psi stays, lambda comes from the cotangent and goes to args.lambda if that is wanted. Grid as for
// forward.
extern "C" __global__ void __launch_bounds__(kMostThreads)
    backward(const __grid_constant__ Arguments args) {
    GateRun run(args, true);
    for (int tile = static_cast<int>(blockIdx.y); tile < run.num_tiles(); tile += gridDim.y) {
        run.enter(tile);
        run.load(args.psi, run.psi());
        if (run.whole()) {
            run.seed();
        } else {
            run.load(args.lambda, run.lambda());
        }
        run.backward();
        if (!run.whole()) run.store(run.psi(), args.psi);
        if (args.lambda) run.store(run.lambda(), args.lambda);
        __syncthreads();
    }
}

// A matrix that no group holds: psi from begin, or undone with `wanted`. Grid (batch,
// parts).
extern "C" __global__ void __launch_bounds__(kMostThreads)
    matrix(const __grid_constant__ Arguments args) {
    const WideMatrix matrix(*args.tape, args.stage);
    const u64 sample = u64{blockIdx.x} << args.tape->bits;
    const Complex* from = static_cast<const Complex*>(args.begin) + sample;
    Complex* to = static_cast<Complex*>(args.psi) + sample;
    share_out(u64{1} << args.tape->bits,
              [&](u64 p) { to[p] = matrix.amplitude(matrix.constant(), args.wanted, from, p); });
}

// Parts of the expectation values of psi: sums [batch, parts, paulis] of double. A warp for each
// string and part. Grid (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads)
    expval(const __grid_constant__ Arguments args) {
    const int bits = args.tape->bits;
    const Complex* psi = static_cast<const Complex*>(args.psi) + (u64{blockIdx.x} << bits);
    const u64 each = (u64{1} << bits) / args.parts, begin = each * blockIdx.y;
    double* to = static_cast<double*>(args.sums) +
                 (u64{blockIdx.x} * args.parts + blockIdx.y) * args.num_paulis;
    for (int k = static_cast<int>(threadIdx.x) / kWarp; k < args.num_paulis; k += num_warps()) {
        const double value =
            string_sum(args.paulis[k], begin, begin + each, [&](u64 p) { return psi[p]; });
        if (threadIdx.x % kWarp == 0) to[args.paulis[k].column] = value;
    }
}

// lambda from psi and the cotangent of expectation values. Grid (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads)
    seed(const __grid_constant__ Arguments args) {
    const int bits = args.tape->bits;
    const Complex* psi = static_cast<const Complex*>(args.psi) + (u64{blockIdx.x} << bits);
    Complex* lambda = static_cast<Complex*>(args.lambda) + (u64{blockIdx.x} << bits);
    const Real* weights =
        static_cast<const Real*>(args.cotangent) + u64{blockIdx.x} * args.num_paulis;
    const auto at = [&](u64 address) { return psi[address]; };
    share_out(u64{1} << bits, [&](u64 p) {
        lambda[p] = weighted_sum(args.paulis, args.num_paulis, weights, p, at);
    });
}

// States in logical order from psi; or from a cotangent of states, lambda at their addresses (which
// is 0 elsewhere). Grid (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads)
    states(const __grid_constant__ Arguments args) {
    const Tape& tape = *args.tape;
    const u64 size = u64{1} << tape.num_qubits;
    const u64 sample = u64{blockIdx.x} << tape.bits, logical = blockIdx.x * size;
    share_out(size, [&](u64 x) {
        const u64 address = sample + address_of(tape, x);
        if (args.states) {
            static_cast<Complex*>(args.states)[logical + x] =
                static_cast<const Complex*>(args.psi)[address];
        } else {
            static_cast<Complex*>(args.lambda)[address] =
                Real(0.5) * static_cast<const Complex*>(args.cotangent)[logical + x];
        }
    });
}

// What the uses of a parameter leave in the sums of one sample, in parts first to last.
static double of_uses(const Arguments& args, int source, int parameter, int sample, int first,
                      int last) {
    const Tape& tape = *args.tape;
    if (parameter >= tape.num_parameters[source]) return 0;
    const Act* acts = tape.section<Act>(tape.acts);
    const Factor* factors = tape.section<Factor>(tape.factors);
    const int* begins = tape.section<int>(tape.use_begins[source]) + parameter;
    double total = 0;
    for (int u = begins[0]; u < begins[1]; ++u) {
        const Use use = tape.section<Use>(tape.uses)[u];
        Real sums[4] = {0, 0, 0, 0};
#pragma unroll 1
        for (int part = first; part < last; ++part) {
            const u64 row = static_cast<u64>(sample) * args.parts + part;
            const Real* from =
                static_cast<const Real*>(args.sums) + 4 * (row * tape.num_acts + use.act);
            for (int k = 0; k < 4; ++k) sums[k] += from[k];
        }
        const Matrix after =
            act_matrix(args, factors, use.factor + 1, acts[use.act].factor_end, sample);
        total += derivative(factors[use.factor], after, sums);
    }
    return total;
}

// From the sums to the gradients of one source (`stage`), a block for each parameter. Grid
// (parameters).
extern "C" __global__ void __launch_bounds__(kMostThreads)
    gradients(const __grid_constant__ Arguments args) {
    const int source = args.stage, parameter = static_cast<int>(blockIdx.x);
    add_up(static_cast<Real*>(args.gradients[source]) + parameter, args.strides[source], args.batch,
           args.parts, [&](int sample, int first, int last) {
               return of_uses(args, source, parameter, sample, first, last);
           });
}

}  // namespace qsim::cuda
