// Exact noise. Matrices that are one tile take one launch of `forward` there; on the way back,
// where steps cannot be undone, `backward` goes a stage again, keeps what maps with angles are
// given, and takes lambda back; `gradients` adds up. Larger ones take launches for each stage, and
// `values` and `seed` beside them.
#include "gradients.cuh"
#include "transfer_cells.cuh"

namespace qsim::cuda {

namespace {

// One stage of one sample: its tiles one after another, from device memory to shared memory and
// back. Shared memory holds the tile, the maps of a batch, where the halves of a place are in the
// state, and on the way back the sums of the warps.
class TransferRun {
  public:
    TransferRun(const TransferArguments& args, bool back)
        : args_(args),
          tape_(*args.tape),
          stage_(tape_.section<TransferStage>(tape_.stages)[args.stage]),
          sample_(blockIdx.x),
          tile_(reinterpret_cast<Real*>(shared_memory())),
          maps_(reinterpret_cast<Map*>(tile_ + size())),
          halves_(reinterpret_cast<u64*>(maps_ + kBatchMaps)),
          sums_(back ? reinterpret_cast<Real*>(halves_ + 2 * kHalf) : nullptr) {
        for (int k = threadIdx.x; k < 2 * kHalf; k += blockDim.x) {
            u64 place = 0;
            for (int b = 0; b < kHalfPlace; ++b) {
                const int bit = b + (k < kHalf ? 0 : kHalfPlace);
                if (k >> b & 1 && bit < 2 * stage_.digits)
                    place |= u64{1} << (2 * stage_.qubits[bit / 2] + bit % 2);
            }
            halves_[k] = place;
        }
        __syncthreads();
    }

    int num_tiles() const { return 1 << 2 * (tape_.digits - stage_.digits); }
    bool whole() const { return tape_.digits == stage_.digits; }
    bool is_first() const { return args_.stage == 0; }
    bool is_last() const { return args_.stage + 1 == tape_.num_stages; }

    void enter(int number) {
        number_ = number;
        place_ = static_cast<u64>(number);
        for (int d = 0; d < stage_.digits; ++d) {
            const u64 low = (u64{1} << 2 * stage_.qubits[d]) - 1;
            place_ = (place_ & ~low) << 2 | (place_ & low);
        }
    }

    void load(const void* from) const {
        const Real* state = static_cast<const Real*>(from) + offset(tape_.digits);
        each([&](u64 place, Real& component) { component = state[place]; });
    }

    void store(void* to) const {
        Real* state = static_cast<Real*>(to) + offset(tape_.digits);
        each([&](u64 place, Real& component) { state[place] = component; });
    }

    // What a run begins with: args.begin, or |0...0>, whose components are 1 for I and Z alone.
    void begin() const {
        const Real* given = static_cast<const Real*>(args_.begin);
        const u64 size = u64{1} << 2 * tape_.num_qubits;
        each([&](u64 place, Real& component) {
            if (place >= size) {
                component = 0;
            } else if (given) {
                component = given[offset(tape_.num_qubits) + place];
            } else {
                component = (place ^ place >> 1) & 0x5555555555555555 ? Real(0) : Real(1);
            }
        });
    }

    // With records, what maps with angles are given is left there.
    void forward(Real* records) const {
        const TransferBatch* batches = tape_.section<TransferBatch>(tape_.batches);
        for (int b = stage_.batch_begin; b < stage_.batch_end; ++b) {
            prepare(batches[b]);
            for (int g = batches[b].group_begin; g < batches[b].group_end; ++g) {
                forward_group(batches[b], tape_.section<TransferGroup>(tape_.groups)[g], records);
                __syncthreads();
            }
        }
    }

    void backward(const Real* records) const {
        const TransferBatch* batches = tape_.section<TransferBatch>(tape_.batches);
        for (int b = stage_.batch_end; b-- > stage_.batch_begin;) {
            prepare(batches[b]);
            for (int k = threadIdx.x; k < kSums * num_warps(); k += blockDim.x) sums_[k] = 0;
            __syncthreads();
            for (int g = batches[b].group_end; g-- > batches[b].group_begin;) {
                backward_group(batches[b], tape_.section<TransferGroup>(tape_.groups)[g], records);
                __syncthreads();
            }
            const u64 part = static_cast<u64>(sample_) * args_.parts + blockIdx.y;
            keep_warp_sums(sums_, kSums, kMapEntries * (batches[b].map_end - batches[b].map_begin),
                           number_ == static_cast<int>(blockIdx.y),
                           static_cast<Real*>(args_.sums) +
                               kMapEntries * (part * tape_.num_maps + batches[b].map_begin));
            __syncthreads();
        }
    }

    // Of a tile that is the whole.
    void read() const {
        Real* values = static_cast<Real*>(args_.values) + args_.num_readings * sample_;
        for (long long k = threadIdx.x; k < args_.num_readings; k += blockDim.x)
            values[args_.readings[k].column] =
                tile_[bank_swizzle(static_cast<u32>(args_.readings[k].place))];
    }

    void seed() const {
        each([](u64, Real& component) { component = 0; });
        __syncthreads();
        seed_from(
            args_, sample_,
            [&](u64 place, Real value) { tile_[bank_swizzle(static_cast<u32>(place))] = value; },
            threadIdx.x, blockDim.x);
    }

    // put(place, sum of the cotangents of its readings), for the places of the thread.
    template <class Put>
    static void seed_from(const TransferArguments& args, u64 sample, Put put, u64 first, u64 step) {
        const Real* given = static_cast<const Real*>(args.cotangent) + args.num_readings * sample;
        const auto count = static_cast<u64>(args.num_readings);
        for (u64 k = first; k < count; k += step) {
            const u64 place = args.readings[k].place;
            if (k > 0 && args.readings[k - 1].place == place) continue;
            Real total = 0;
            for (u64 same = k; same < count && args.readings[same].place == place; ++same)
                total += given[args.readings[same].column];
            put(place, total);
        }
    }

  private:
    static constexpr int kHalfPlace = kMostTileDigits, kHalf = 1 << kHalfPlace;
    static constexpr int kSums = kMapEntries * kBatchMaps;

    u32 size() const { return 1u << 2 * stage_.digits; }
    int cells() const { return static_cast<int>(size()) / kCell; }
    u64 offset(int digits) const { return static_cast<u64>(sample_) << 2 * digits; }

    // visit(place in the state, component) for the tile's components.
    template <class Visit>
    void each(Visit visit) const {
        for (u32 c = threadIdx.x; c < size(); c += blockDim.x)
            visit(place_ | halves_[c & (kHalf - 1)] | halves_[kHalf + (c >> kHalfPlace)],
                  tile_[bank_swizzle(c)]);
    }

    void prepare(const TransferBatch& batch) const {
        const int* acts = tape_.section<int>(tape_.maps);
        for (int m = batch.map_begin + static_cast<int>(threadIdx.x); m < batch.map_end;
             m += blockDim.x) {
            const TransferAct& act = tape_.section<TransferAct>(tape_.acts)[acts[m]];
            maps_[m - batch.map_begin] = chain(args_, tape_.section<TransferFactor>(tape_.factors),
                                               act.factor_begin, act.factor_end, sample_);
        }
        __syncthreads();
    }

    // What a cell's act is given, 16 numbers apart by the number of cells: only the thread that
    // wrote them reads them.
    Real* record_of(Real* records, const TransferAct& act, int cell) const {
        const u64 row = static_cast<u64>(act.record) * args_.batch + sample_;
        return records + (row << 2 * tape_.digits) + static_cast<u64>(number_) * size() + cell;
    }

    void forward_group(const TransferBatch& batch, const TransferGroup& group,
                       Real* records) const {
        const TransferAct* acts = tape_.section<TransferAct>(tape_.acts);
        for (int number = threadIdx.x; number < cells(); number += blockDim.x) {
            const Cell cell(group, number);
            Real x[kCell];
            cell.load(tile_, x);
            for (int a = group.act_begin; a < group.act_end; ++a) {
                const TransferAct& act = acts[a];
                if (records && act.depends & args_.wanted) {
                    Real* to = record_of(records, act, number);
#pragma unroll
                    for (int k = 0; k < kCell; ++k) to[k * cells()] = x[k];
                }
                apply<false>(batch, act, cell, x);
            }
            cell.store(x, tile_);
        }
    }

    void backward_group(const TransferBatch& batch, const TransferGroup& group,
                        const Real* records) const {
        const TransferAct* acts = tape_.section<TransferAct>(tape_.acts);
        const int warp = static_cast<int>(threadIdx.x) / kWarp;
        for (int first = 0; first < cells(); first += blockDim.x) {
            const int number = first + static_cast<int>(threadIdx.x);
            const bool live = number < cells();  // all threads take part in sums
            const Cell cell(group, live ? number : 0);
            Real lambda[kCell];
#pragma unroll
            for (int k = 0; k < kCell; ++k) lambda[k] = live ? tile_[cell.where(k)] : Real(0);
            for (int a = group.act_end; a-- > group.act_begin;) {
                const TransferAct& act = acts[a];
                if (act.depends & args_.wanted) {
                    Real sums[kMapEntries];
                    for (int e = 0; e < kMapEntries; ++e) sums[e] = 0;
                    if (live) add_sums(act, records, number, lambda, sums);
                    Real* to = sums_ + kSums * warp + kMapEntries * (act.map - batch.map_begin);
#pragma unroll
                    for (int e = 0; e < kMapEntries; ++e) {
                        const Real sum = warp_sum(sums[e]);
                        if (threadIdx.x % kWarp == 0) to[e] += sum;
                    }
                }
                if (live) apply<true>(batch, act, cell, lambda);
            }
            if (live) cell.store(lambda, tile_);
        }
    }

    void add_sums(const TransferAct& act, const Real* records, int number, const Real* lambda,
                  Real* sums) const {
        const Real* from = record_of(const_cast<Real*>(records), act, number);
        Real given[kCell];
#pragma unroll
        for (int k = 0; k < kCell; ++k) given[k] = from[k * cells()];
        if (act.digit) {
            add_map_sums<4>(given, lambda, sums);
        } else {
            add_map_sums<1>(given, lambda, sums);
        }
    }

    // An act, or its transpose.
    template <bool BACK>
    void apply(const TransferBatch& batch, const TransferAct& act, const Cell& cell,
               Real* x) const {
        if (act.kind == kMoveAct) {
            const auto* moves = tape_.section<TransferMove<Real>>(tape_.moves);
            apply_move<BACK>(moves[act.entries], cell, tile_, x);
        } else if (act.kind == kSquareAct) {
            apply_square<BACK>(tape_.section<Real>(tape_.entries) + act.entries, cell, tile_, x);
        } else if (act.digit) {
            apply_map<4, BACK>(maps_[act.map - batch.map_begin], x);
        } else {
            apply_map<1, BACK>(maps_[act.map - batch.map_begin], x);
        }
    }

    const TransferArguments& args_;
    const TransferTape& tape_;
    const TransferStage& stage_;
    const u64 sample_;
    Real* const tile_;
    Map* const maps_;
    u64* const halves_;
    Real* const sums_;
    int number_ = 0;  // of the tile
    u64 place_ = 0;   // of its first component in the state
};

}  // namespace

// One stage, from args.from or the beginning to args.to; values where one tile is the whole. Grid
// (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    forward(const __grid_constant__ TransferArguments args) {
    TransferRun run(args, false);
    for (int tile = static_cast<int>(blockIdx.y); tile < run.num_tiles(); tile += gridDim.y) {
        run.enter(tile);
        if (run.is_first()) {
            run.begin();
        } else {
            run.load(args.from);
        }
        __syncthreads();
        run.forward(nullptr);
        if (args.to) run.store(args.to);
        if (run.whole() && run.is_last()) run.read();
        __syncthreads();
    }
}

// Lambda back through one stage, which starts from args.from or the beginning; leaves the sums of
// its maps. Lambda comes from the cotangents where the last stage's tile is the whole. Grid as for
// forward.
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    backward(const __grid_constant__ TransferArguments args) {
    TransferRun run(args, true);
    for (int tile = static_cast<int>(blockIdx.y); tile < run.num_tiles(); tile += gridDim.y) {
        run.enter(tile);
        if (args.records) {
            if (run.is_first()) {
                run.begin();
            } else {
                run.load(args.from);
            }
            __syncthreads();
            run.forward(static_cast<Real*>(args.records));
        }
        if (run.whole() && run.is_last()) {
            run.seed();
        } else {
            run.load(args.lambda);
        }
        __syncthreads();
        run.backward(static_cast<const Real*>(args.records));
        run.store(args.lambda);
        __syncthreads();
    }
}

// A matrix that no group holds, from args.from to args.to, transposed if `wanted`. Grid (batch,
// parts).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    matrix(const __grid_constant__ TransferArguments args) {
    const TransferTape& tape = *args.tape;
    const TransferStage& stage = tape.section<TransferStage>(tape.stages)[args.stage];
    const TransferAct& act = tape.section<TransferAct>(tape.acts)[stage.matrix];
    const Real* entries = tape.section<Real>(tape.entries) + act.entries;
    const u64 size = u64{1} << 2 * tape.digits, order = u64{1} << 2 * stage.digits;
    const Real* from = static_cast<const Real*>(args.from) + size * blockIdx.x;
    Real* to = static_cast<Real*>(args.to) + size * blockIdx.x;
    const u64 step = static_cast<u64>(gridDim.y) * blockDim.x;
    for (u64 p = static_cast<u64>(blockIdx.y) * blockDim.x + threadIdx.x; p < size; p += step) {
        u64 row = 0, rest = p;
        for (int d = 0; d < stage.digits; ++d) {
            row |= (p >> 2 * stage.qubits[d] & 3) << 2 * d;
            rest &= ~(u64{3} << 2 * stage.qubits[d]);
        }
        Real total = 0;
        for (u64 column = 0; column < order; ++column) {
            u64 place = rest;
            for (int d = 0; d < stage.digits; ++d)
                place |= (column >> 2 * d & 3) << 2 * stage.qubits[d];
            total +=
                entries[args.wanted ? column * order + row : row * order + column] * from[place];
        }
        to[p] = total;
    }
}

// Values from args.from. Grid (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    values(const __grid_constant__ TransferArguments args) {
    const Real* from =
        static_cast<const Real*>(args.from) + (u64{blockIdx.x} << 2 * args.tape->digits);
    Real* values = static_cast<Real*>(args.values) + args.num_readings * u64{blockIdx.x};
    const auto first = static_cast<long long>(blockIdx.y) * blockDim.x + threadIdx.x;
    for (long long k = first; k < args.num_readings;
         k += static_cast<long long>(gridDim.y) * blockDim.x)
        values[args.readings[k].column] = from[args.readings[k].place];
}

// Lambda, which is 0, from the cotangents. Grid (batch, parts).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    seed(const __grid_constant__ TransferArguments args) {
    Real* to = static_cast<Real*>(args.lambda) + (u64{blockIdx.x} << 2 * args.tape->digits);
    TransferRun::seed_from(
        args, blockIdx.x, [&](u64 place, Real value) { to[place] = value; },
        static_cast<u64>(blockIdx.y) * blockDim.x + threadIdx.x,
        static_cast<u64>(gridDim.y) * blockDim.x);
}

// What the uses of a parameter leave in the sums of one sample, in parts first to last: of
// M = L F R it is <sums, L dF R>.
static double of_uses(const TransferArguments& args, int source, int parameter, int sample,
                      int first, int last) {
    const TransferTape& tape = *args.tape;
    if (parameter >= tape.num_parameters[source]) return 0;
    const TransferFactor* factors = tape.section<TransferFactor>(tape.factors);
    const int* begins = tape.section<int>(tape.use_begins[source]) + parameter;
    double total = 0;
    for (int u = begins[0]; u < begins[1]; ++u) {
        const Use use = tape.section<Use>(tape.uses)[u];
        const TransferAct& act = tape.section<TransferAct>(tape.acts)[use.act];
        const Map left = chain(args, factors, use.factor + 1, act.factor_end, sample);
        const Map right = chain(args, factors, act.factor_begin, use.factor, sample);
        const Map slope = factor_slope(args, factors[use.factor], sample);
        const Map change = product(product(left, slope, false), right, true);
        Real found = 0;
#pragma unroll 1
        for (int part = first; part < last; ++part) {
            const u64 row = static_cast<u64>(sample) * args.parts + part;
            const Real* sums =
                static_cast<const Real*>(args.sums) + kMapEntries * (row * tape.num_maps + act.map);
            for (int e = 0; e < kMapEntries; ++e) found += sums[e] * change.m[e];
        }
        total += factors[use.factor].scale * static_cast<double>(found);
    }
    return total;
}

// From the sums to the gradients of one source (`stage`), a block for each parameter. Grid
// (parameters).
extern "C" __global__ void __launch_bounds__(kMostThreads, kResident)
    gradients(const __grid_constant__ TransferArguments args) {
    const int source = args.stage, parameter = static_cast<int>(blockIdx.x);
    add_up(static_cast<Real*>(args.gradients[source]) + parameter, args.strides[source], args.batch,
           args.parts, [&](int sample, int first, int last) {
               return of_uses(args, source, parameter, sample, first, last);
           });
}

}  // namespace qsim::cuda
