#include "engine.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>

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

template <class T>
const Kernels<T>& kernels_for(int64_t batch) {
    const InstructionSet& set = *chosen;
    const int width = batch == 1 ? 0 : batch <= 4 ? 1 : batch <= 8 ? 2 : 3;
    if constexpr (sizeof(T) == sizeof(float)) {
        return set.single_precision[width];
    } else {
        return set.double_precision[width];
    }
}

// Memory for loops over vectors: aligned to cache lines, not initialised.
template <class T>
class Buffer {
  public:
    explicit Buffer(int64_t size)
        : data_(static_cast<T*>(
              ::operator new(static_cast<size_t>(size) * sizeof(T), std::align_val_t{64}))) {}
    T* get() { return data_.get(); }

  private:
    struct Delete {
        void operator()(T* data) const { ::operator delete(data, std::align_val_t{64}); }
    };
    std::unique_ptr<T, Delete> data_;
};

void multiply_into(Complex* product, const Complex* left) {
    const Complex a = left[0] * product[0] + left[1] * product[2];
    const Complex b = left[0] * product[1] + left[1] * product[3];
    const Complex c = left[2] * product[0] + left[3] * product[2];
    const Complex d = left[2] * product[1] + left[3] * product[3];
    product[0] = a, product[1] = b, product[2] = c, product[3] = d;
}

// A factor's matrix, from the first row of its source.
template <class T>
void evaluate(const Call<T>& call, const Factor& factor, Complex* out) {
    const Angle& angle = factor.angle;
    double theta = 0;
    if (angle.source != kConstant)
        theta = angle.scale * call.data[angle.source][angle.index] + angle.offset;
    for (int e = 0; e < 4; ++e) out[e] = 0;
    for (int k = 0; k < (angle.source == kConstant ? 1 : 2); ++k) {
        const Complex phase = std::polar(1.0, factor.frequencies[k] * theta);
        for (int e = 0; e < 4; ++e) out[e] += phase * factor.projectors[k][e];
    }
}

// A unitary as diag(after) R diag(before) with R real.
struct Euler {
    Complex after[2], before[2];
    double rotation[4];

    explicit Euler(const Complex* u) : after{1, 1}, before{1, 1} {
        const double c = std::abs(u[0]), s = std::abs(u[2]);
        rotation[0] = rotation[3] = c;
        rotation[1] = -s;
        rotation[2] = s;
        if (c > 0) after[0] = u[0] / c;
        if (s > 0) after[1] = u[2] / s;
        // The larger entry decides: the phase of a vanishing one is noise, and does no harm.
        if (c > s) {
            before[1] = u[3] / c / after[1];
        } else {
            before[1] = -u[1] / s / after[0];
        }
    }
};

// A call prepared for the kernels.
template <class T>
class Prepared {
  public:
    Prepared(const Call<T>& call, const std::vector<Pauli>& paulis)
        : call(call),
          kernels(kernels_for<T>(call.batch)),
          schedule(schedule_for(call, kernels)),
          batched(call.program.items.size()),
          shared(8 * batched.size()),
          angles(4 * batched.size()),
          phases((schedule.layers.size() * 2) << call.program.num_qubits) {
        const Program& program = call.program;
        for (size_t k = 0; k < batched.size(); ++k) {
            const Item& item = program.items[k];
            for (int s = 0; s < 2; ++s) batched[k] |= (item.depends >> s & 1) && call.batched[s];
            if (!batched[k]) shared_matrix(k);
        }
        for (size_t l = 0; l < schedule.layers.size(); ++l) layer_phases(l);
        Angles<T> sources{{call.data[0], call.data[1]}, {}, call.batch};
        for (int s = 0; s < 2; ++s) sources.stride[s] = call.batched[s] ? call.size[s] : 0;
        view = {program.num_qubits,
                static_cast<int>(batched.size()),
                static_cast<int>(schedule.sweeps.size()),
                schedule.most_layers,
                program.items.data(),
                program.factors.data(),
                schedule.sweeps.data(),
                schedule.operations.data(),
                schedule.layers.data(),
                schedule.terms.data(),
                schedule.indices.data(),
                schedule.offsets.data(),
                sources,
                shared.data(),
                batched.data(),
                phases.data(),
                paulis.data(),
                static_cast<int>(paulis.size())};
    }

    // Operations before this one need no gradient.
    int first_needed(int wanted) const {
        const auto needed = [&](int32_t item) { return call.program.items[item].depends & wanted; };
        int k = 0;
        for (const Operation& operation : schedule.operations) {
            bool here = false;
            if (operation.pass == kPhases) {
                const Layer& layer = schedule.layers[operation.first];
                for (int t = layer.term_begin; t < layer.term_end; ++t) {
                    here = here ||
                           (schedule.terms[t].part == kWhole && needed(schedule.terms[t].item));
                }
            } else {
                here = needed(operation.first) ||
                       (operation.pass == kDouble && needed(operation.second));
            }
            if (here) break;
            ++k;
        }
        return k;
    }

    int64_t num_blocks() const { return (call.batch + kernels.lanes - 1) / kernels.lanes; }
    int64_t block_size() const { return int64_t{2} * kernels.lanes << call.program.num_qubits; }
    int64_t scratch() const { return scratch_size(view, kernels.lanes); }

    // work(block, thread) for all blocks, spread over as many threads as are worth it.
    template <class Work>
    void each_block(Work work) const {
        const int64_t blocks = num_blocks();
        const int64_t effort = block_size() * static_cast<int64_t>(batched.size() + 1) * blocks;
        const int64_t worth =
            std::max<int64_t>(1, effort / 400000);  // starting a thread costs some 20 us
        const int count =
            static_cast<int>(std::min({static_cast<int64_t>(call.threads), blocks, worth}));
        std::vector<std::thread> others;
        std::atomic<int64_t> next{0};
        const auto run = [&](int thread) {
            for (int64_t b = next++; b < blocks; b = next++) work(b, thread);
        };
        for (int t = 1; t < count; ++t) others.emplace_back(run, t);
        run(0);
        for (std::thread& other : others) other.join();
    }

    const Call<T>& call;
    const Kernels<T>& kernels;
    const Schedule& schedule;
    std::vector<uint8_t> batched;
    std::vector<T> shared;
    std::vector<double> angles;  // [items][4]: a rotation's phases before (0, 1) and after; a
                                 // diagonal's in the last two
    std::vector<T> phases;
    View<T> view;

  private:
    static const Schedule& schedule_for(const Call<T>& call, const Kernels<T>& kernels) {
        const auto sources =
            static_cast<uint8_t>(call.batched[kWeight] << kWeight | call.batched[kInput] << kInput);
        return call.program.schedule({tile_bits(sizeof(T), kernels.lanes), sources});
    }

    void shared_matrix(size_t k) {
        const Item& item = call.program.items[k];
        Complex product[4] = {1, 0, 0, 1}, next[4];
        for (int f = item.factor_begin; f < item.factor_end; ++f) {
            evaluate(call, call.program.factors[f], next);
            multiply_into(product, next);
        }
        if (schedule.rotation[k]) {
            const Euler euler(product);
            for (int q = 0; q < 2; ++q) {
                angles[4 * k + q] = std::arg(euler.before[q]);
                angles[4 * k + 2 + q] = std::arg(euler.after[q]);
            }
            for (int e = 0; e < 4; ++e) product[e] = euler.rotation[e];
        } else if (item.kind == kDiagonal) {
            for (int q = 0; q < 2; ++q) angles[4 * k + 2 + q] = std::arg(product[3 * q]);
        }
        for (int e = 0; e < 4; ++e) {
            shared[8 * k + 2 * e] = static_cast<T>(product[e].real());
            shared[8 * k + 2 * e + 1] = static_cast<T>(product[e].imag());
        }
    }

    // The angle at an address is mean + difference (-1)^(r.p ^ flip) of every term where its
    // controls are 1: a sum of characters, of which the coefficients are collected here.
    void layer_phases(size_t l) {
        const int n = call.program.num_qubits;
        std::vector<double> coefficients(size_t{1} << n);
        const Layer& layer = schedule.layers[l];
        for (int t = layer.term_begin; t < layer.term_end; ++t) {
            const Item& item = call.program.items[schedule.terms[t].item];
            const double* both = angles.data() + 4 * schedule.terms[t].item +
                                 (schedule.terms[t].part == kBefore ? 0 : 2);
            const double mean = (both[0] + both[1]) / 2,
                         difference = (both[0] - both[1]) / 2 * (item.flip ? -1 : 1);
            item.each_character([&](double weight, uint64_t rows) {
                coefficients[rows] += weight * mean;
                coefficients[rows ^ item.row] += weight * difference;
            });
        }
        kernels.phases(n, coefficients.data(), phases.data() + (l * 2 << n));
    }
};

// Derivatives of all angles of an item that the batch shares, from its sums Im<lambda|P|psi>: with
// L the product of the factors after f, it is -2 sum_P h_P Im<lambda|P|psi>, h = L K L+.
template <class T>
void shared_derivatives(const Call<T>& call, const Item& item, const double* phases,
                        const double* sums, double* const totals[2]) {
    // The sums of a rotation were taken before its phases: start from there.
    Complex after[4] = {std::polar(1.0, -phases[0]), 0, 0, std::polar(1.0, -phases[1])}, own[4];
    for (int f = item.factor_end - 1; f >= item.factor_begin; --f) {
        const Factor& factor = call.program.factors[f];
        const Angle& angle = factor.angle;
        if (angle.source != kConstant && totals[angle.source]) {
            Complex k[4], h[4] = {std::conj(after[0]), std::conj(after[2]), std::conj(after[1]),
                                  std::conj(after[3])};
            for (int e = 0; e < 4; ++e) {
                k[e] = factor.frequencies[0] * factor.projectors[0][e] +
                       factor.frequencies[1] * factor.projectors[1][e];
            }
            multiply_into(h, k);
            multiply_into(h, after);
            const double trace = (h[0] + h[3]).real(), difference = (h[0] - h[3]).real();
            totals[angle.source][angle.index] -=
                angle.scale * (trace * sums[0] + 2 * h[2].real() * sums[1] +
                               2 * h[2].imag() * sums[2] + difference * sums[3]);
        }
        evaluate(call, factor, own);
        multiply_into(own, after);
        std::copy(own, own + 4, after);
    }
}

// The address at which logical basis state x lies.
uint64_t address(const Program& program, uint64_t x) {
    uint64_t p = program.offset;
    for (int q = 0; q < program.num_qubits; ++q) {
        if (x >> q & 1) p ^= program.columns[q];
    }
    return p;
}

// Calls visit(pointer into a block's amplitudes, pointer into the row of one sample) for all
// samples and basis states.
template <class T, class Pointer, class Row, class Visit>
void each_amplitude(const Prepared<T>& run, Pointer blocks, Row rows, int64_t block, Visit visit) {
    const int64_t lanes = run.kernels.lanes, size = int64_t{1} << run.call.program.num_qubits;
    const int64_t first = block * lanes, count = std::min(lanes, run.call.batch - first);
    for (int64_t x = 0; x < size; ++x) {
        auto at =
            blocks +
            2 * lanes * static_cast<int64_t>(address(run.call.program, static_cast<uint64_t>(x)));
        for (int64_t l = 0; l < count; ++l) visit(at + l, rows + 2 * ((first + l) * size + x));
    }
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

template <class T>
int64_t state_size(const Program& program, int64_t batch) {
    const int64_t lanes = kernels_for<T>(batch).lanes;
    return ((batch + lanes - 1) / lanes * lanes * 2) << program.num_qubits;
}

template <class T>
void forward(const Call<T>& call, const std::vector<Pauli>& paulis, const Results<T>& results) {
    const Prepared<T> run(call, paulis);
    const int64_t lanes = run.kernels.lanes, size = run.block_size();
    run.each_block([&](int64_t block, int) {
        Buffer<T> scratch(run.scratch()), own(results.psi ? 0 : size);
        T* state = results.psi ? results.psi + block * size : own.get();
        run.kernels.forward(run.view, block * lanes, state, scratch.get());
        if (results.values) run.kernels.expval(run.view, block * lanes, state, results.values);
        if (!results.states) return;
        each_amplitude(run, state, results.states, block, [&](const T* from, T* to) {
            to[0] = from[0];
            to[1] = from[lanes];
        });
    });
}

template <class T>
void backward(const Call<T>& call, const T* psi, const Cotangent<T>& cotangent,
              T* const gradients[2]) {
    const Prepared<T> run(call, cotangent.paulis);
    const Program& program = call.program;
    const int64_t items = static_cast<int64_t>(program.items.size()), blocks = run.num_blocks();
    const int64_t lanes = run.kernels.lanes, block_size = run.block_size();
    // Sums of each block stand apart and are added in order: the result does not depend on the
    // threads.
    std::vector<double> generators(static_cast<size_t>(blocks * items * 4));
    std::vector<double> totals[2];
    bool shared[2], batched[2];
    for (int s = 0; s < 2; ++s) {
        shared[s] = gradients[s] && !call.batched[s];
        batched[s] = gradients[s] && call.batched[s];
        if (shared[s]) totals[s].resize(static_cast<size_t>((blocks + 1) * call.size[s]));
        if (batched[s])
            std::memset(gradients[s], 0,
                        sizeof(T) * static_cast<size_t>(call.batch * call.size[s]));
    }
    const int first =
        run.first_needed((gradients[0] ? 1 << kWeight : 0) | (gradients[1] ? 1 << kInput : 0));
    run.each_block([&](int64_t block, int) {
        Buffer<T> state(2 * block_size), scratch(run.scratch());
        T *mine = state.get(), *lambda = mine + block_size;
        std::memcpy(mine, psi + block * block_size, sizeof(T) * static_cast<size_t>(block_size));
        if (cotangent.states) {
            std::memset(lambda, 0, sizeof(T) * static_cast<size_t>(block_size));
            each_amplitude(run, lambda, cotangent.states, block, [&](T* to, const T* from) {
                to[0] = from[0] / 2;
                to[lanes] = from[1] / 2;
            });
        } else {
            run.kernels.seed(run.view, block * lanes, mine, cotangent.values, lambda);
        }
        Gradients<T> out{
            first, generators.data() + block * items * 4, {}, {}, {call.size[0], call.size[1]}};
        for (int s = 0; s < 2; ++s) {
            if (shared[s]) out.shared[s] = totals[s].data() + block * call.size[s];
            if (batched[s]) out.batched[s] = gradients[s];
        }
        run.kernels.backward(run.view, block * lanes, mine, lambda, scratch.get(), out);
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
    const double none[2] = {0, 0};
    for (int64_t k = 0; k < items; ++k) {
        if (!program.items[k].depends || run.batched[k]) continue;
        const double* phases = run.schedule.rotation[k] ? run.angles.data() + 4 * k + 2 : none;
        shared_derivatives(call, program.items[k], phases, generators.data() + 4 * k, sums);
    }
    for (int s = 0; s < 2; ++s) {
        for (int64_t k = 0; shared[s] && k < call.size[s]; ++k)
            gradients[s][k] = static_cast<T>(sums[s][k]);
    }
}

template int64_t state_size<float>(const Program&, int64_t);
template int64_t state_size<double>(const Program&, int64_t);
template void forward<float>(const Call<float>&, const std::vector<Pauli>&, const Results<float>&);
template void forward<double>(const Call<double>&, const std::vector<Pauli>&,
                              const Results<double>&);
template void backward<float>(const Call<float>&, const float*, const Cotangent<float>&,
                              float* const[2]);
template void backward<double>(const Call<double>&, const double*, const Cotangent<double>&,
                               double* const[2]);

}  // namespace qsim::cpu
