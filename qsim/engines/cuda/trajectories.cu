// Trajectories: samples that choose one operator of each channel. Operators cannot be undone, so
// `retrace` goes a stage again, keeps what acts with angles are given, and takes lambda back. Where
// a state has many tiles, `weigh` and `decide` come before each choice that it makes, and `expval`
// and `seed` of kernels.cu beside the stages.
#include "choices.cuh"
#include "stage.cuh"
#include "wide.cuh"

namespace qsim::cuda {

namespace {

constexpr int kSums = 8;  // of psi_i conj(lambda_j), (re, im), for each act

class TrajectoryRun : public StageRun {
  public:
    TrajectoryRun(const TrajectoryArguments& args, bool back)
        : StageRun(args, back), args_(args), choices_(tape_.section<Choice>(tape_.choices)) {}

    // The tile as the stage is given it.
    void arrive() const {
        if (args_.stage == 0) {
            begin();
        } else {
            load(args_.from, tile_.psi);
        }
    }

    // With records, what acts with angles are given is left there. The state decides if it is one
    // tile; if it has, `decided`, or has more tiles, decisions are there.
    void forward(Complex* records, bool decided) const {
        const Batch* batches = tape_.section<Batch>(tape_.batches);
        for (int b = stage_.batch_begin; b < stage_.batch_end; ++b) {
            if (batches[b].choice >= 0 && !decided && stage_.bits == tape_.bits)
                decide_here(batches[b]);
            prepare(batches[b]);
            for (int g = batches[b].group_begin; g < batches[b].group_end; ++g) {
                forward_group(batches[b], tape_.section<Group>(tape_.groups)[g], records);
                __syncthreads();
            }
        }
    }

    void backward(const Complex* records) const {
        const Batch* batches = tape_.section<Batch>(tape_.batches);
        for (int b = stage_.batch_end; b-- > stage_.batch_begin;) {
            for (int k = threadIdx.x; k < kSums * kBatchActs * num_warps(); k += blockDim.x)
                tile_.sums[k] = 0;
            prepare(batches[b]);
            for (int g = batches[b].group_end; g-- > batches[b].group_begin;) {
                backward_group(batches[b], tape_.section<Group>(tape_.groups)[g], records);
                __syncthreads();
            }
            const u64 part = static_cast<u64>(sample_) * args_.parts + blockIdx.y;
            keep_warp_sums(tile_.sums, kSums * kBatchActs,
                           kSums * (batches[b].act_end - batches[b].act_begin), is_first_tile(),
                           static_cast<Real*>(args_.sums) +
                               kSums * (part * tape_.num_acts + batches[b].act_begin));
            __syncthreads();
        }
    }

    const Batch& first_batch() const {
        return tape_.section<Batch>(tape_.batches)[stage_.batch_begin];
    }

    // Of the tile: |psi|^2 for k = 0, or |K psi|^2 of operator k - 1; in all threads.
    double square(const Batch& batch, int k) const {
        const Group& group = tape_.section<Group>(tape_.groups)[batch.group_begin];
        const Act& act = tape_.section<Act>(tape_.acts)[group.act_begin];
        const bool pair = act.kind != kMatrixAct;
        const Complex* entries = k ? operator_of(tape_, choices_[batch.choice], k - 1) : nullptr;
        const int cosets = 1 << (stage_.bits - kBits);
        double total = 0;
        for (int number = threadIdx.x; number < cosets; number += blockDim.x) {
            const Coset coset(tile_, group, number);
            Complex amplitudes[kSize];
            coset.load(tile_.psi, amplitudes);
            Real found = 0;
            const auto add = [&](int, Complex z) { found += z.re * z.re + z.im * z.im; };
            const u32 flips =
                pair ? coset.values(tile_, act.target) & 1 : flips_of(tape_, tile_, act, coset);
            switch (k ? pair ? 1 : act.axis : 0) {
                case 0:
#pragma unroll
                    for (int j = 0; j < kSize; ++j) add(j, amplitudes[j]);
                    break;
                case 1:
                    each_row<1>(entries, flips, false, amplitudes, add);
                    break;
                case 2:
                    each_row<2>(entries, flips, false, amplitudes, add);
                    break;
                case 3:
                    each_row<3>(entries, flips, false, amplitudes, add);
                    break;
                default:
                    each_row<kBits>(entries, flips, false, amplitudes, add);
            }
            total += static_cast<double>(found);
        }
        return block_sum(total, reinterpret_cast<double*>(matrices_));  // which are to come
    }

    // Whether the number leaves a choice to the state.
    bool is_open(int number) const {
        double drawn = uniform(args_, sample_, choices_[number].draw);
        return chosen_by_number(tape_, choices_[number], drawn) == choices_[number].count;
    }

  private:
    void decide_here(const Batch& batch) const {
        const Choice& choice = choices_[batch.choice];
        const Decision made = decide(tape_, choice, uniform(args_, sample_, choice.draw),
                                     [&](int k) { return square(batch, k); });
        if (threadIdx.x == 0)
            args_.decisions[u64(sample_) * tape_.num_choices + batch.choice] = made;
        __syncthreads();
    }

    void prepare(const Batch& batch) const {
        const Act* acts = tape_.section<Act>(tape_.acts);
        for (int a = batch.act_begin + static_cast<int>(threadIdx.x); a < batch.act_end;
             a += blockDim.x) {
            matrices_[a - batch.act_begin] =
                trajectory_matrix(args_, tape_.section<Factor>(tape_.factors), acts[a].factor_begin,
                                  acts[a].factor_end, sample_);
        }
        __syncthreads();
    }

    // What a coset's act is given, as far apart as there are cosets: only the thread that wrote it
    // reads it.
    Complex* record_of(Complex* records, const Act& act, int number) const {
        const u64 row = static_cast<u64>(act.record) * args_.batch + sample_;
        return records + (row << tape_.bits) + (static_cast<u64>(tile_number_) << stage_.bits) +
               number;
    }

    int cosets() const { return 1 << (stage_.bits - kBits); }

    void chosen_group(const Group& group, bool undone, Complex* state) const {
        const Act& act = tape_.section<Act>(tape_.acts)[group.act_begin];
        Real scale = 1;
        const Complex* entries = act.choice < 0 ? constant_entries(tape_, group)
                                                : taken(args_, act.choice, sample_, &scale);
        matrix_group(tape_, tile_, group, entries, scale, undone, state);
    }

    void forward_group(const Batch& batch, const Group& group, Complex* records) const {
        if (is_matrix(tape_, group)) return chosen_group(group, false, tile_.psi);
        const Act* acts = tape_.section<Act>(tape_.acts);
        const Row* rows = tape_.section<Row>(tape_.rows);
        for (int number = threadIdx.x; number < cosets(); number += blockDim.x) {
            const Coset coset(tile_, group, number);
            Complex psi[kSize];
            coset.load(tile_.psi, psi);
            for (int a = group.act_begin; a < group.act_end; ++a) {
                const Act& act = acts[a];
                if (records && act.depends & args_.wanted) {
                    Complex* to = record_of(records, act, number);
#pragma unroll
                    for (int j = 0; j < kSize; ++j) to[j * cosets()] = psi[j];
                }
                const u32 where = active(tile_, act, rows, coset);
                const u32 ones = coset.values(tile_, act.target);
                apply_act(act, matrices_[a - batch.act_begin], ones, where, false, psi);
            }
            coset.store(psi, tile_.psi);
        }
    }

    void backward_group(const Batch& batch, const Group& group, const Complex* records) const {
        if (is_matrix(tape_, group)) return chosen_group(group, true, tile_.lambda);
        const Act* acts = tape_.section<Act>(tape_.acts);
        const Row* rows = tape_.section<Row>(tape_.rows);
        const int warp = static_cast<int>(threadIdx.x) / kWarp;
        for (int first = 0; first < cosets(); first += blockDim.x) {
            const int number = first + static_cast<int>(threadIdx.x);
            const Coset coset(tile_, group, number);
            Complex lambda[kSize];
            coset.load(tile_.lambda, lambda);
            for (int a = group.act_end; a-- > group.act_begin;) {
                const Act& act = acts[a];
                const u32 where = active(tile_, act, rows, coset);
                const u32 ones = coset.values(tile_, act.target);
                if (act.depends & args_.wanted) {
                    Real sums[kSums] = {0, 0, 0, 0, 0, 0, 0, 0};
                    if (coset.live) {
                        const Complex* given =
                            record_of(const_cast<Complex*>(records), act, number);
                        contract(act, ones, where, given, lambda, sums);
                    }
                    Real* to = tile_.sums + kSums * (warp * kBatchActs + a - batch.act_begin);
#pragma unroll
                    for (int k = 0; k < kSums; ++k) {
                        const Real sum = warp_sum(sums[k]);
                        if (threadIdx.x % kWarp == 0) to[k] += sum;
                    }
                }
                apply_act(act, matrices_[a - batch.act_begin], ones, where, true, lambda);
            }
            coset.store(lambda, tile_.lambda);
        }
    }

    // sums[i][j] = sum of psi_i conj(lambda_j) over the thread's pairs.
    void contract(const Act& act, u32 ones, u32 where, const Complex* given, const Complex* lambda,
                  Real* sums) const {
        if (act.kind == kDiagonalAct) {
#pragma unroll
            for (int j = 0; j < kSize; ++j) {
                if (!(where >> j & 1)) continue;
                const Complex z = product(lambda[j], given[j * cosets()]);
                const bool one = ones >> j & 1;
                sums[0] += one ? Real(0) : z.re;
                sums[1] += one ? Real(0) : z.im;
                sums[6] += one ? z.re : Real(0);
                sums[7] += one ? z.im : Real(0);
            }
            return;
        }
        with_axis(act.axis, [&](auto axis) {
            constexpr int kOther = 1 << decltype(axis)::value;
#pragma unroll
            for (int j = 0; j < kSize; ++j) {
                if (j & kOther || !(where >> j & 1)) continue;
                const Complex psi[2] = {given[j * cosets()], given[(j | kOther) * cosets()]};
                const Complex back[2] = {lambda[j], lambda[j | kOther]};
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    const Complex z = product(back[e % 2], psi[e / 2]);
                    sums[2 * e] += z.re;
                    sums[2 * e + 1] += z.im;
                }
            }
        });
        if (!(ones & 1)) return;  // the first of each pair is 1 otherwise
        for (int k = 0; k < 4; ++k) {
            const int other = k ^ 6;
            const Real kept = sums[k];
            sums[k] = sums[other];
            sums[other] = kept;
        }
    }

    const TrajectoryArguments& args_;
    const Choice* choices_;
};

}  // namespace

// One stage of psi, from `from` or the beginning; a state that is one tile is measured as well.
// Grid (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    follow(const __grid_constant__ TrajectoryArguments args) {
    TrajectoryRun run(args, false);
    for (int tile = static_cast<int>(blockIdx.y); tile < run.num_tiles(); tile += gridDim.y) {
        run.enter(tile);
        run.arrive();
        run.forward(nullptr, false);
        if (run.whole()) run.measure();
        if (args.psi) run.store(run.psi(), args.psi);
        __syncthreads();
    }
}

// Lambda back through one stage; leaves the sums of its acts. Of a state that is one tile, lambda
// comes from the cotangent. Grid as for follow.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    retrace(const __grid_constant__ TrajectoryArguments args) {
    TrajectoryRun run(args, true);
    Complex* records = static_cast<Complex*>(args.records);
    for (int tile = static_cast<int>(blockIdx.y); tile < run.num_tiles(); tile += gridDim.y) {
        run.enter(tile);
        run.arrive();
        run.forward(records, true);
        if (run.whole()) {
            run.seed();
        } else {
            run.load(args.lambda, run.lambda());
        }
        run.backward(records);
        if (args.lambda) run.store(run.lambda(), args.lambda);
        __syncthreads();
    }
}

// Where the state is to choose before a stage: |psi|^2, and |K psi|^2 of the operators, of the
// part. Grid as for follow.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    weigh(const __grid_constant__ TrajectoryArguments args) {
    TrajectoryRun run(args, false);
    const Batch& batch = run.first_batch();
    if (!run.is_open(batch.choice)) return;
    const int count = 1 + args.tape->section<Choice>(args.tape->choices)[batch.choice].count;
    double* to = args.squares + (u64{blockIdx.x} * args.parts + blockIdx.y) * count;
    for (int tile = static_cast<int>(blockIdx.y); tile < run.num_tiles(); tile += gridDim.y) {
        run.enter(tile);
        run.arrive();
        for (int k = 0; k < count; ++k) {
            const double found = run.square(batch, k);
            if (threadIdx.x > 0) continue;
            to[k] = tile == static_cast<int>(blockIdx.y) ? found : to[k] + found;
        }
    }
}

// The same before an operator that no group holds. Grid as for follow; shared memory has the sums
// of the warps.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    weigh_wide(const __grid_constant__ TrajectoryArguments args) {
    const Tape& tape = *args.tape;
    const WideMatrix matrix(tape, args.stage);
    const Choice& choice = tape.section<Choice>(tape.choices)[matrix.choice()];
    const Complex* psi = static_cast<const Complex*>(args.from) + (u64{blockIdx.x} << tape.bits);
    double* to = args.squares + (u64{blockIdx.x} * args.parts + blockIdx.y) * (1 + choice.count);
    for (int k = 0; k <= choice.count; ++k) {
        const Complex* entries = k ? operator_of(tape, choice, k - 1) : nullptr;
        double total = 0;
        share_out(u64{1} << tape.bits, [&](u64 p) {
            const Complex z = k ? matrix.amplitude(entries, false, psi, p) : psi[p];
            total += static_cast<double>(z.re * z.re + z.im * z.im);
        });
        total = block_sum(total, reinterpret_cast<double*>(shared_memory()));
        if (threadIdx.x == 0) to[k] = total;
    }
}

// A matrix that no group holds, or the operator that was chosen: psi from `from`, or undone with
// `wanted`. Grid as for follow.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    operate(const __grid_constant__ TrajectoryArguments args) {
    const WideMatrix matrix(*args.tape, args.stage);
    const u64 sample = u64{blockIdx.x} << args.tape->bits;
    const Complex* from = static_cast<const Complex*>(args.from) + sample;
    Complex* to = static_cast<Complex*>(args.psi) + sample;
    Real scale = 1;
    const Complex* entries =
        matrix.choice() < 0 ? matrix.constant()
                            : taken(args, matrix.choice(), static_cast<int>(blockIdx.x), &scale);
    share_out(u64{1} << args.tape->bits,
              [&](u64 p) { to[p] = scale * matrix.amplitude(entries, args.wanted, from, p); });
}

// What the state chooses, from the squares of its parts; the choice has the number `stage`. Grid
// (batch), one thread each.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    decide_from(const __grid_constant__ TrajectoryArguments args) {
    const Tape& tape = *args.tape;
    const Choice& choice = tape.section<Choice>(tape.choices)[args.stage];
    const int sample = static_cast<int>(blockIdx.x);
    const auto square_of = [&](int k) {
        double total = 0;
        for (int part = 0; part < args.parts; ++part)
            total += args.squares[(u64(sample) * args.parts + part) * (1 + choice.count) + k];
        return total;
    };
    if (threadIdx.x == 0)
        args.decisions[u64(sample) * tape.num_choices + args.stage] =
            decide(tape, choice, uniform(args, sample, choice.draw), square_of);
}

// A basis state of each psi: the address where the cumulative |psi|^2 passes the number of the draw
// after the channels'. Threads take runs of addresses. Grid (batch).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    sample(const __grid_constant__ TrajectoryArguments args) {
    const Tape& tape = *args.tape;
    const u64 size = u64{1} << tape.bits, each = (size + blockDim.x - 1) / blockDim.x;
    const u64 begin = min(size, each * threadIdx.x), end = min(size, begin + each);
    const Complex* psi = static_cast<const Complex*>(args.psi) + size * blockIdx.x;
    const auto square = [&](u64 p) {
        return static_cast<double>(psi[p].re) * psi[p].re +
               static_cast<double>(psi[p].im) * psi[p].im;
    };
    double* totals = reinterpret_cast<double*>(shared_memory());  // of the threads
    double mine = 0, before = 0, total = 0;
    for (u64 p = begin; p < end; ++p) mine += square(p);
    totals[threadIdx.x] = mine;
    __syncthreads();
    for (u32 t = 0; t < blockDim.x; ++t) {
        if (t == threadIdx.x) before = total;
        total += totals[t];
    }
    __syncthreads();
    const double bound = total * uniform(args, static_cast<int>(blockIdx.x), tape.num_draws);
    u64 passed = 0;
    for (u64 p = begin; p < end; ++p) passed += (before += square(p)) <= bound;
    u64* counts = reinterpret_cast<u64*>(totals);
    counts[threadIdx.x] = passed;
    __syncthreads();
    if (threadIdx.x > 0) return;
    u64 address = 0;
    for (u32 t = 0; t < blockDim.x; ++t) address += counts[t];
    address = min(address, size - 1) ^ tape.offset;
    long long drawn = 0;
    for (int q = 0; q < tape.num_qubits; ++q)
        drawn |= static_cast<long long>(parity(tape.readers[q] & address)) << q;
    args.drawn[blockIdx.x] = drawn;
}

// What the uses of a parameter leave in the sums of one sample, in parts first to last. Of the
// product L exp(i K angle) R, with S the sums, it is -2 Im tr(L K exp(i K angle) R S).
static double of_uses(const TrajectoryArguments& args, int source, int parameter, int sample,
                      int first, int last) {
    const Tape& tape = *args.tape;
    if (parameter >= tape.num_parameters[source]) return 0;
    const Factor* factors = tape.section<Factor>(tape.factors);
    const int* begins = tape.section<int>(tape.use_begins[source]) + parameter;
    double total = 0;
    for (int u = begins[0]; u < begins[1]; ++u) {
        const Use use = tape.section<Use>(tape.uses)[u];
        const Act& act = tape.section<Act>(tape.acts)[use.act];
        Real sums[kSums] = {0, 0, 0, 0, 0, 0, 0, 0};
#pragma unroll 1
        for (int part = first; part < last; ++part) {
            const u64 row = static_cast<u64>(sample) * args.parts + part;
            const Real* from =
                static_cast<const Real*>(args.sums) + kSums * (row * tape.num_acts + use.act);
            for (int k = 0; k < kSums; ++k) sums[k] += from[k];
        }
        const Matrix upto =
            trajectory_matrix(args, factors, act.factor_begin, use.factor + 1, sample);
        const Matrix after =
            trajectory_matrix(args, factors, use.factor + 1, act.factor_end, sample);
        const Matrix change = after * generator_of(factors[use.factor]) * upto;
        Real found = 0;
        for (int e = 0; e < 4; ++e) {  // change[i][j] S[j][i]
            const Real* s = sums + 2 * (e / 2 + 2 * (e % 2));
            found += change.m[e].re * s[1] + change.m[e].im * s[0];
        }
        total -= 2 * factors[use.factor].scale * static_cast<double>(found);
    }
    return total;
}

// From the sums to the gradients of one source (`stage`), a block for each parameter. Grid
// (parameters).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    gradients(const __grid_constant__ TrajectoryArguments args) {
    const int source = args.stage, parameter = static_cast<int>(blockIdx.x);
    add_up(static_cast<Real*>(args.gradients[source]) + parameter, args.strides[source], args.batch,
           args.parts, [&](int sample, int first, int last) {
               return of_uses(args, source, parameter, sample, first, last);
           });
}

}  // namespace qsim::cuda
