#include "engine.hpp"

#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "memory.hpp"
#include "prepared.hpp"

namespace qsim::cpu {

namespace {

std::vector<const InstructionSet*> available() {
    std::vector<const InstructionSet*> sets;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
        sets.push_back(&avx512);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.push_back(&avx2);
#endif
    sets.push_back(&baseline);
    return sets;
}

std::atomic<const InstructionSet*> chosen{available().front()};
std::atomic<Limits> limits_in_use{Limits{}};

// Derivatives [factors] of the angles of an item's tail, from its sums Im<lambda|P|psi>: with L the
// product of the factors after f, it is -2 sum_P h_P Im<lambda|P|psi>, h = L K L+.
template <class T>
void shared_derivatives(const Prepared<T>& run, int64_t k, const double* sums,
                        double* derivatives) {
    const Item& item = run.call.program.items[k];
    Complex after[4] = {1, 0, 0, 1}, own[4];
    if (run.schedule.rotation[k]) {  // its sums were taken before its phases: start from there
        after[0] = std::polar(1.0, -run.angles[4 * k + 2]);
        after[3] = std::polar(1.0, -run.angles[4 * k + 3]);
    }
    for (int f = item.factor_end - 1; f >= run.tail[k]; --f) {
        const Factor& factor = run.call.program.factors[f];
        const Angle& angle = factor.angle;
        if (angle.source != kConstant) {
            Complex k[4], h[4] = {std::conj(after[0]), std::conj(after[2]), std::conj(after[1]),
                                  std::conj(after[3])};
            for (int e = 0; e < 4; ++e) {
                k[e] = factor.frequencies[0] * factor.projectors[0][e] +
                       factor.frequencies[1] * factor.projectors[1][e];
            }
            multiply_into(h, k);
            multiply_into(h, after);
            const double trace = (h[0] + h[3]).real(), difference = (h[0] - h[3]).real();
            derivatives[f] = -angle.scale * (trace * sums[0] + 2 * h[2].real() * sums[1] +
                                             2 * h[2].imag() * sums[2] + difference * sums[3]);
        }
        std::copy_n(run.factors.data() + 4 * f, 4, own);
        multiply_into(own, after);
        std::copy(own, own + 4, after);
    }
}

// Where the bits of a logical basis state x go: address = A x ^ offset.
struct Addresses {
    std::vector<uint64_t> columns;
    uint64_t offset;
};

Addresses initial_addresses(const Program& program) {
    Addresses unit{{}, 0};
    for (int q = 0; q < program.num_qubits; ++q) unit.columns.push_back(uint64_t{1} << q);
    return unit;
}

Addresses final_addresses(const Program& program) { return {program.columns, program.offset}; }

// Calls visit(pointer into a block's amplitudes, pointer into the row of one sample) for all
// samples of a block and all basis states.
template <class T, class Pointer, class Row, class Visit>
void each_amplitude(const Prepared<T>& run, const Addresses& addresses, Pointer amplitudes,
                    Row rows, int64_t block, Visit visit) {
    const int64_t size = int64_t{1} << run.view.num_qubits,
                  within = (int64_t{1} << run.lane_bits) - 1;
    const int64_t first = block * run.view.samples();
    const int64_t count = std::min<int64_t>(run.view.samples(), run.call.batch - first);
    const int64_t chunk = std::min<int64_t>(size, 1 << 14);
    parallel_for(run.threads_in_block(), size / chunk, [&](int64_t part, int) {
        uint64_t p = addresses.offset;
        for (uint64_t bits = static_cast<uint64_t>(part * chunk); bits; bits &= bits - 1)
            p ^= addresses.columns[static_cast<size_t>(__builtin_ctzll(bits))];
        for (int64_t x = part * chunk;;) {
            const auto address = static_cast<int64_t>(p);
            const int64_t at = (address >> run.lane_bits) * 2 * kLanes<T> + (address & within);
            for (int64_t s = 0; s < count; ++s)
                visit(amplitudes + at + (s << run.lane_bits), rows + 2 * ((first + s) * size + x));
            if (++x == (part + 1) * chunk) return;
            for (uint64_t bits = static_cast<uint64_t>(x ^ (x - 1)); bits; bits &= bits - 1)
                p ^= addresses.columns[static_cast<size_t>(__builtin_ctzll(bits))];
        }
    });
}

// What one thread needs beside the states: a stage's buffers, and what kernels ask for.
template <class T>
struct Workspace {
    Reusable<T> psi, lambda, scratch;
};

// One block of samples on its way through the stages, and then the next one.
template <class T>
class Block {
  public:
    explicit Block(const Prepared<T>& run)
        : run_(run), spaces_(static_cast<size_t>(run.threads_in_block())) {}

    void take(int64_t block) {
        block_ = block;
        first_ = block * run_.view.samples();
        own_ = own_memory_.get(int64_t{8} * kLanes<T> * run_.view.num_items);
        run_.kernels.matrices(run_.view, first_, own_);
    }

    // Room for states.
    T* states(int64_t count) { return states_.get(count * run_.block_size()); }

    // psi <- the states to start from.
    void start(T* psi) const {
        if (run_.view.product) {
            each_part(run_.view.num_vectors(), [&](int64_t begin, int64_t end, int64_t) {
                run_.kernels.product_start(run_.view, own_, begin, end, psi);
            });
            return;
        }
        if (run_.call.initial) {
            load_states(initial_addresses(run_.call.program), run_.call.initial, T(1), psi);
            return;
        }
        clear(psi);
        for (int s = 0; s < run_.view.samples(); ++s) psi[s << run_.lane_bits] = 1;
    }

    void clear(T* state) const {
        each_part(run_.block_size(), [&](int64_t begin, int64_t end, int64_t) {
            std::memset(state + begin, 0, sizeof(T) * static_cast<size_t>(end - begin));
        });
    }

    void copy(const T* from, T* to) const {
        each_part(run_.block_size(), [&](int64_t begin, int64_t end, int64_t) {
            std::memcpy(to + begin, from + begin, sizeof(T) * static_cast<size_t>(end - begin));
        });
    }

    void forward(T* psi) {
        for (const Stage& stage : run_.schedule.stages) {
            if (!run_.staged()) {
                run_.kernels.forward(run_.view, stage, 0, own_, psi,
                                     spaces_[0].scratch.get(run_.view.scratch()));
                continue;
            }
            each_place(stage, [&](uint64_t place, int64_t, Workspace<T>& space) {
                T* buffer = space.psi.get(run_.buffer_size());
                run_.kernels.gather(run_.view, stage, place, psi, buffer);
                run_.kernels.forward(run_.view, stage, place, own_, buffer,
                                     space.scratch.get(run_.view.scratch()));
                run_.kernels.scatter(run_.view, stage, place, buffer, psi);
            });
        }
    }

    // Operations before `first` stay; with `product`, its items get their sums.
    void backward(int first, bool product, T* psi, T* lambda, const Gradients<T>& out) {
        const int64_t sums_size = int64_t{4} * kLanes<T> * run_.view.num_items;
        const int64_t parts = run_.staged() ? kParts : 1;
        T* sums = sums_.zeros(sums_size * parts);
        T* phase_sums = phase_sums_.get(static_cast<int64_t>(run_.schedule.most_layers)
                                        << run_.view.num_qubits);
        const auto& stages = run_.schedule.stages;
        for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
            if (run_.schedule.sweeps[static_cast<size_t>(stage->end) - 1].end <= first) break;
            if (!run_.staged()) {
                run_.kernels.backward(run_.view, *stage, 0, own_, first, psi, lambda, sums,
                                      phase_sums, spaces_[0].scratch.get(run_.view.scratch()));
                layer_gradients(*stage, first, phase_sums, out);
                continue;
            }
            each_place(*stage, [&](uint64_t place, int64_t part, Workspace<T>& space) {
                T *mine = space.psi.get(run_.buffer_size()),
                  *other = space.lambda.get(run_.buffer_size());
                run_.kernels.gather(run_.view, *stage, place, psi, mine);
                run_.kernels.gather(run_.view, *stage, place, lambda, other);
                run_.kernels.backward(run_.view, *stage, place, own_, first, mine, other,
                                      sums + part * sums_size, nullptr,
                                      space.scratch.get(run_.view.scratch()));
                run_.kernels.scatter(run_.view, *stage, place, mine, psi);
                run_.kernels.scatter(run_.view, *stage, place, other, lambda);
            });
        }
        if (product) add_product_sums(lambda, sums);
        for (int64_t part = 0; part < parts; ++part)
            run_.kernels.gradients(run_.view, first_, sums + part * sums_size, out);
    }

    // values[sample, pauli] = <psi|P|psi>, for the samples that exist.
    void expval(const T* psi, T* values) const {
        const auto& paulis = run_.measurement.paulis;
        const auto size = static_cast<int64_t>(paulis.size()) * kLanes<T>;
        std::vector<double> totals(static_cast<size_t>(size * num_parts()));
        each_part(run_.view.num_vectors(), [&](int64_t begin, int64_t end, int64_t part) {
            run_.kernels.expval(run_.view, begin, end, psi, totals.data() + part * size);
        });
        for (int64_t k = size; k < static_cast<int64_t>(totals.size()); ++k)
            totals[static_cast<size_t>(k % size)] += totals[static_cast<size_t>(k)];
        for (size_t k = 0; k < paulis.size(); ++k) {
            each_lane([&](int64_t sample, int64_t low, int lane) {
                T& value = values[sample * static_cast<int64_t>(paulis.size()) + paulis[k].column];
                if (low == 0) value = 0;
                value += static_cast<T>(sign(paulis[k], low) *
                                        totals[k * kLanes<T> + static_cast<size_t>(lane)]);
            });
        }
    }

    // lambda <- sum over paulis of cotangent[sample, pauli] P psi.
    void seed(const T* psi, const T* cotangent, T* lambda) {
        const auto& paulis = run_.measurement.paulis;
        T* weights = weights_.zeros(static_cast<int64_t>(paulis.size()) * kLanes<T>);
        for (size_t k = 0; k < paulis.size(); ++k) {
            T* row = weights + k * kLanes<T>;
            each_lane([&](int64_t sample, int64_t low, int lane) {
                row[lane] =
                    static_cast<T>(sign(paulis[k], low)) *
                    cotangent[sample * static_cast<int64_t>(paulis.size()) + paulis[k].column];
            });
        }
        each_part(run_.view.num_vectors(), [&](int64_t begin, int64_t end, int64_t) {
            run_.kernels.seed(run_.view, begin, end, psi, weights, lambda);
        });
    }

    // rows [batch, 2^n] <- factor * the block's states at these addresses.
    void store_states(const Addresses& addresses, const T* state, T factor, T* rows) const {
        each_amplitude(run_, addresses, state, rows, block_, [&](const T* from, T* to) {
            to[0] = factor * from[0];
            to[1] = factor * from[kLanes<T>];
        });
    }

    // The block's states at these addresses <- factor * rows [batch, 2^n]; 0 for samples that do
    // not exist.
    void load_states(const Addresses& addresses, const T* rows, T factor, T* state) const {
        if (first_ + run_.view.samples() > run_.call.batch) clear(state);
        each_amplitude(run_, addresses, state, rows, block_, [&](T* to, const T* from) {
            to[0] = factor * from[0];
            to[kLanes<T>] = factor * from[1];
        });
    }

  private:
    // Sums of each part stand apart and are added in order: results do not depend on the threads.
    static constexpr int64_t kParts = 16;

    // At least a chunk each.
    int64_t num_parts() const {
        return run_.staged() ? std::clamp<int64_t>(run_.view.num_vectors() >> kChunkBits, 1, kParts)
                             : 1;
    }

    // work(begin, end, part) for ranges of `size` numbers (a power of two).
    template <class Work>
    void each_part(int64_t size, Work work) const {
        const int64_t parts = num_parts();
        parallel_for(run_.threads_in_block(), parts, [&](int64_t part, int) {
            work(part * (size / parts), (part + 1) * (size / parts), part);
        });
    }

    // work(place, part, workspace) for all cosets of a stage.
    template <class Work>
    void each_place(const Stage& stage, Work work) {
        const int64_t places = run_.view.num_vectors() >> stage.bits;
        const int64_t parts = std::min(places, kParts);
        parallel_for(run_.threads_in_block(), parts, [&](int64_t part, int thread) {
            uint64_t place = 0;
            for (int64_t k = 0; k < places; ++k) {
                if (k * parts / places == part)
                    work(place, part, spaces_[static_cast<size_t>(thread)]);
                place = ((place | stage.pivots) + 1) & ~stage.pivots;
            }
        });
    }

    void add_product_sums(const T* lambda, T* sums) {
        const int64_t vectors = run_.view.num_vectors(), vector = 2 * kLanes<T>;
        const int64_t size = std::min(vectors, int64_t{1} << kChunkBits) * vector;
        const int64_t chunks_size = vectors * vector / (size / vector), parts = num_parts();
        T *chunks = chunks_.get(chunks_size), *within = within_.zeros(parts * size);
        each_part(vectors, [&](int64_t begin, int64_t end, int64_t part) {
            run_.kernels.product_contract(run_.view, own_, begin, end, lambda, chunks,
                                          within + part * size);
        });
        for (int64_t k = size; k < parts * size; ++k) within[k % size] += within[k];
        run_.kernels.product_sums(run_.view, own_, chunks, within,
                                  spaces_[0].scratch.get(std::max(size, chunks_size)), sums);
    }

    void layer_gradients(const Stage& stage, int first, T* phase_sums,
                         const Gradients<T>& out) const {
        const auto& schedule = run_.schedule;
        const int begin = schedule.sweeps[static_cast<size_t>(stage.begin)].begin;
        const int end = schedule.sweeps[static_cast<size_t>(stage.end) - 1].end;
        for (int k = std::max(begin, first); k < end; ++k) {
            const Operation& operation = schedule.operations[static_cast<size_t>(k)];
            if (operation.pass != kPhases) continue;
            run_.kernels.phase_gradients(
                run_.view, schedule.layers[static_cast<size_t>(operation.first)],
                run_.layer_undone[static_cast<size_t>(operation.first)],
                phase_sums + (static_cast<int64_t>(operation.second) << run_.view.num_qubits),
                out.generators);
        }
    }

    // visit(sample, lowest bits of the address, lane) for the samples that exist.
    template <class Visit>
    void each_lane(Visit visit) const {
        const int64_t width = int64_t{1} << run_.lane_bits;
        for (int lane = 0; lane < kLanes<T>; ++lane) {
            const int64_t sample = first_ + (lane >> run_.lane_bits);
            if (sample < run_.call.batch) visit(sample, lane & (width - 1), lane);
        }
    }

    // Of a string, but for the vector's place.
    static double sign(const Pauli& pauli, int64_t low) {
        const auto lane = static_cast<int>(parity(pauli.z & static_cast<uint64_t>(low)));
        return (lane ^ pauli.sign ^ (pauli.num_y >> 1 & 1)) ? -1 : 1;
    }

    const Prepared<T>& run_;
    int64_t block_ = 0, first_ = 0;
    std::vector<Workspace<T>> spaces_;
    T* own_ = nullptr;
    Reusable<T> own_memory_, states_, sums_, phase_sums_, weights_, chunks_, within_;
};

// work(block) for all blocks of the batch, one thread each if they are small.
template <class T, class Work>
void each_block(const Prepared<T>& run, Work work) {
    std::vector<std::unique_ptr<Block<T>>> blocks(static_cast<size_t>(run.threads_over_blocks()));
    parallel_for(run.threads_over_blocks(), run.num_blocks(), [&](int64_t number, int thread) {
        auto& block = blocks[static_cast<size_t>(thread)];
        if (!block) block = std::make_unique<Block<T>>(run);
        block->take(number);
        work(*block, number);
    });
}

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const InstructionSet* set : available()) names.emplace_back(set->name);
    return names;
}

void use_instruction_set(const std::string& name) {
    for (const InstructionSet* set : available()) {
        if (set->name == name) {
            chosen = set;
            return;
        }
    }
    throw std::invalid_argument("this processor does not run the instruction set '" + name + "'");
}

Limits current_limits() { return limits_in_use; }

void use_limits(const Limits& limits) { limits_in_use = limits; }

template <class T>
const Kernels<T>& kernels_for() {
    const InstructionSet& set = *chosen;
    if constexpr (sizeof(T) == sizeof(float)) {
        return set.single_precision;
    } else {
        return set.double_precision;
    }
}

template <class T>
int lane_bits_for(int num_qubits, int64_t batch) {
    int bits = kMostLaneBits<T>;
    if (num_qubits <= current_limits().sample_qubits) {
        while (bits > 0 && kLanes<T> >> bits < batch) --bits;
    }
    return std::min(bits, num_qubits);
}

template <class T>
int64_t state_size(const Program& program, int64_t batch) {
    const int bits = lane_bits_for<T>(program.num_qubits, batch);
    const int64_t samples = kLanes<T> >> bits, blocks = (batch + samples - 1) / samples;
    return (blocks * 2 * kLanes<T>) << (program.num_qubits - bits);
}

template <class T>
std::shared_ptr<const Prepared<T>> prepare(const Call<T>& call, const Measurement& measurement) {
    return std::make_shared<const Prepared<T>>(call, measurement);
}

template <class T>
void forward(const Prepared<T>& run, const Results<T>& results) {
    const int64_t size = run.block_size();
    if (results.psi)
        prefer_huge_pages(results.psi, run.num_blocks() * size * static_cast<int64_t>(sizeof(T)));
    each_block(run, [&](Block<T>& block, int64_t number) {
        T* psi = results.psi ? results.psi + number * size : block.states(1);
        block.start(psi);
        block.forward(psi);
        if (results.values) block.expval(psi, results.values);
        if (results.states)
            block.store_states(final_addresses(run.call.program), psi, T(1), results.states);
    });
}

template <class T>
void backward(const Prepared<T>& run, const T* psi, const Cotangent<T>& cotangent,
              const Wanted<T>& wanted) {
    const Call<T>& call = run.call;
    const Program& program = call.program;
    const int64_t items = static_cast<int64_t>(program.items.size()), blocks = run.num_blocks();
    const int64_t size = run.block_size();
    // Sums of each block stand apart and are added in order: the result does not depend on the
    // threads.
    std::vector<double> generators(static_cast<size_t>(blocks * items * 4));
    std::vector<double> totals[2];
    bool shared[2], batched[2];
    for (int s = 0; s < 2; ++s) {
        shared[s] = wanted.sources[s] && !call.batched[s];
        batched[s] = wanted.sources[s] && call.batched[s];
        if (shared[s]) totals[s].resize(static_cast<size_t>((blocks + 1) * call.size[s]));
        if (batched[s])
            std::memset(wanted.sources[s], 0,
                        sizeof(T) * static_cast<size_t>(call.batch * call.size[s]));
    }
    const int sources =
        (wanted.sources[0] ? 1 << kWeight : 0) | (wanted.sources[1] ? 1 << kInput : 0);
    const int first = wanted.initial ? 0 : run.first_needed(sources);
    each_block(run, [&](Block<T>& block, int64_t number) {
        T *mine = block.states(2), *lambda = mine + size;
        block.copy(psi + number * size, mine);
        if (cotangent.states) {
            block.load_states(final_addresses(program), cotangent.states, T(0.5), lambda);
        } else {
            block.seed(mine, cotangent.values, lambda);
        }
        Gradients<T> out{
            generators.data() + number * items * 4, {}, {}, {call.size[0], call.size[1]}};
        for (int s = 0; s < 2; ++s) {
            if (shared[s]) out.shared[s] = totals[s].data() + number * call.size[s];
            if (batched[s]) out.batched[s] = wanted.sources[s];
        }
        block.backward(first, run.product_needed(sources), mine, lambda, out);
        if (wanted.initial)
            block.store_states(initial_addresses(program), lambda, T(2), wanted.initial);
    });
    for (int64_t b = 1; b < blocks; ++b) {
        for (int64_t k = 0; k < 4 * items; ++k) generators[k] += generators[b * 4 * items + k];
    }
    double* sums[2];
    for (int s = 0; s < 2; ++s) {
        sums[s] = shared[s] ? totals[s].data() + blocks * call.size[s] : nullptr;
        for (int64_t b = 0; shared[s] && b < blocks; ++b) {
            for (int64_t k = 0; k < call.size[s]; ++k)
                sums[s][k] += totals[s][b * call.size[s] + k];
        }
    }
    std::vector<double> derivatives(program.factors.size());
    run.each_item([&](int64_t k) {
        if (program.items[k].depends)
            shared_derivatives(run, k, generators.data() + 4 * k, derivatives.data());
    });
    for (size_t f = 0; f < derivatives.size(); ++f) {
        const Angle& angle = program.factors[f].angle;
        if (angle.source != kConstant && sums[angle.source])
            sums[angle.source][angle.index] += derivatives[f];
    }
    for (int s = 0; s < 2; ++s) {
        for (int64_t k = 0; shared[s] && k < call.size[s]; ++k)
            wanted.sources[s][k] = static_cast<T>(sums[s][k]);
    }
}

#define QSIM_ENGINE(T)                                                                          \
    template const Kernels<T>& kernels_for<T>();                                                \
    template int64_t state_size<T>(const Program&, int64_t);                                    \
    template std::shared_ptr<const Prepared<T>> prepare<T>(const Call<T>&, const Measurement&); \
    template void forward<T>(const Prepared<T>&, const Results<T>&);                            \
    template void backward<T>(const Prepared<T>&, const T*, const Cotangent<T>&, const Wanted<T>&);
QSIM_ENGINE(float)
QSIM_ENGINE(double)
#undef QSIM_ENGINE

}  // namespace qsim::cpu
