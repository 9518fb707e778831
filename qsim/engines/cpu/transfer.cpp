#include "transfer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "checkpoints.hpp"
#include "engine.hpp"
#include "memory.hpp"
#include "parallel.hpp"
#include "transfer_maps.hpp"

namespace qsim::cpu {

namespace {

// Sums of large blocks are kept for that many parts and added in order, so that results do not
// depend on the number of threads.
constexpr int64_t kParts = 8, kLeastToShare = int64_t{1} << 17;

template <class T>
void cosine_and_sine(const TransferView<T>& view, const Angle& angle, double& cosine,
                     double& sine) {
    const double value =
        angle.scale * static_cast<double>(view.angles.data[angle.source][angle.index]) +
        angle.offset;
    cosine = std::cos(value), sine = std::sin(value);
}

// Maps of a step's factors, from angles that the batch shares.
template <class T>
std::vector<Rows<double>> shared_maps(const TransferView<T>& view, const TransferStep& step) {
    std::vector<Rows<double>> maps;
    for (int f = step.factor_begin; f < step.factor_end; ++f) {
        double cosine = 0, sine = 0;
        const Angle& angle = view.factors[f].angle;
        if (angle.source != kConstant) cosine_and_sine(view, angle, cosine, sine);
        maps.push_back(factor_rows<double>(view.factors[f], cosine, sine));
    }
    return maps;
}

}  // namespace

template <class T>
struct TransferRun<T>::Implementation {
    TransferCall<T> call;
    TransferKernels<T> kernels;
    TransferView<T> view;
    std::vector<int32_t> own;
    std::vector<T> shared;
    int64_t num_own = 0;

    explicit Implementation(const TransferCall<T>& given)
        : call(given), kernels(*kernels_for<T>().transfer) {
        const TransferProgram& program = call.program;
        int bits = 0;
        while (int64_t{1} << bits < std::min<int64_t>(kLanes<T>, call.angles.batch)) ++bits;
        own.assign(program.steps.size(), -1);
        shared.resize(12 * program.steps.size());
        view = {program.num_qubits,
                bits,
                static_cast<int>(program.steps.size()),
                program.steps.data(),
                program.factors.data(),
                call.angles,
                own.data(),
                shared.data()};
        for (size_t k = 0; k < program.steps.size(); ++k) {
            const TransferStep& step = program.steps[k];
            if (step.kind != kOneQubit) continue;
            if (reads(step, [&](int source) { return call.angles.stride[source] != 0; })) {
                own[k] = static_cast<int32_t>(num_own++);
                continue;
            }
            const auto maps = shared_maps(view, step);
            Rows<double> whole = maps.front();
            for (size_t f = 1; f < maps.size(); ++f) whole = product(maps[f], whole);
            std::copy(whole.begin(), whole.end(), shared.begin() + static_cast<int64_t>(12 * k));
        }
    }

    template <class Asks>
    bool reads(const TransferStep& step, Asks asks) const {
        return std::any_of(call.program.factors.begin() + step.factor_begin,
                           call.program.factors.begin() + step.factor_end, [&](const auto& factor) {
                               return factor.angle.source != kConstant && asks(factor.angle.source);
                           });
    }

    int64_t num_blocks() const { return (call.angles.batch + view.samples() - 1) / view.samples(); }
    // All threads share one large block after another where there are fewer blocks than threads.
    bool shares_blocks() const { return parts() > 1 && num_blocks() < call.threads; }
    int threads_over_blocks() const {
        if (shares_blocks()) return 1;
        return static_cast<int>(std::min<int64_t>(std::max(call.threads, 1), num_blocks()));
    }
    int threads_in_block() const { return shares_blocks() ? call.threads : 1; }
    int64_t parts() const { return view.size() >= kLeastToShare ? kParts : 1; }

    Route route(const bool wanted[2]) const {
        std::vector<int> steps;
        for (int k = 0; k < view.num_steps; ++k) {
            if (reads(view.steps[k], [&](int source) { return wanted[source]; }))
                steps.push_back(k);
        }
        return {std::move(steps), view.size() * static_cast<int64_t>(sizeof(T))};
    }

    template <class Work>
    void each_block(Work work) const;
};

namespace {

// One block of samples at a time.
template <class T>
class TransferBlock {
  public:
    TransferBlock(const TransferCall<T>& call, const TransferKernels<T>& kernels,
                  const TransferView<T>& view, int64_t num_own, int threads, int64_t parts)
        : call_(call), kernels_(kernels), view_(view), threads_(threads), parts_(parts) {
        own_ = own_memory_.get(num_own * 12 * kLanes<T>);
    }

    void take(int64_t block) {
        first_ = block * view_.samples();
        kernels_.maps(view_, first_, own_);
    }

    T* states(int64_t count) { return states_.get(count * view_.size()); }

    void start(T* state) const {
        if (call_.initial) {
            std::memset(state, 0, sizeof(T) * static_cast<size_t>(view_.size()));
            each_component([&](int64_t at, int64_t sample, int64_t component) {
                state[at] = call_.initial[sample * num_components() + component];
            });
            return;
        }
        for (int64_t p = 0; p < num_components(); ++p) {  // I and Z alone
            const T value = ((p ^ p >> 1) & 0x5555555555555555) == 0 ? T(1) : T(0);
            std::fill_n(state + p * view_.samples(), view_.samples(), value);
        }
    }

    void apply(int step, bool transpose, const T* from, T* to) const {
        each_part(step, [&](int64_t, int64_t begin, int64_t end) {
            kernels_.apply(view_, step, transpose, own_, begin, end, from, to);
        });
    }

    void forward(int begin, int end, T* state) const {
        for (int step = begin; step < end; ++step) apply(step, false, state, state);
    }

    void read(const std::vector<int64_t>& components, const T* state, T* values) const {
        each_value(components, [&](int64_t at, int64_t place) { values[place] = state[at]; });
    }

    void seed(const std::vector<int64_t>& components, const T* cotangent, T* lambda) const {
        std::memset(lambda, 0, sizeof(T) * static_cast<size_t>(view_.size()));
        each_value(components, [&](int64_t at, int64_t place) { lambda[at] += cotangent[place]; });
    }

    void differentiate(int step, int64_t place, const T* given, T* lambda,
                       const Gradients<T>& out) {
        constexpr int64_t kSums = int64_t{12} * kLanes<T>;
        T* sums = sums_.zeros(parts_ * kSums);
        each_part(step, [&](int64_t part, int64_t begin, int64_t end) {
            kernels_.differentiate(view_, step, own_, begin, end, given, lambda,
                                   sums + part * kSums);
        });
        for (int64_t k = kSums; k < parts_ * kSums; ++k) sums[k % kSums] += sums[k];
        kernels_.gradients(view_, step, place, first_, sums, out);
    }

    void store(const T* lambda, T* initial) const {
        each_component([&](int64_t at, int64_t sample, int64_t component) {
            initial[sample * num_components() + component] = lambda[at];
        });
    }

  private:
    int64_t num_components() const { return int64_t{1} << (2 * view_.num_qubits); }

    int64_t count() const { return std::min(view_.samples(), call_.angles.batch - first_); }

    template <class Work>
    void each_part(int step, Work work) const {
        const int64_t all = view_.size() >> (2 * view_.steps[step].qubits.size());
        const int64_t parts = all >= parts_ * kLanes<T> ? parts_ : 1;
        parallel_for(threads_, parts, [&](int64_t part, int) {
            work(part, all / parts * part, all / parts * (part + 1));
        });
    }

    template <class Visit>
    void each_component(Visit visit) const {
        for (int64_t s = 0; s < count(); ++s) {
            for (int64_t p = 0; p < num_components(); ++p)
                visit(p * view_.samples() + s, first_ + s, p);
        }
    }

    template <class Visit>
    void each_value(const std::vector<int64_t>& components, Visit visit) const {
        const auto columns = static_cast<int64_t>(components.size());
        for (int64_t s = 0; s < count(); ++s) {
            for (int64_t k = 0; k < columns; ++k) {
                visit(components[static_cast<size_t>(k)] * view_.samples() + s,
                      (first_ + s) * columns + k);
            }
        }
    }

    const TransferCall<T>& call_;
    const TransferKernels<T>& kernels_;
    const TransferView<T>& view_;
    int threads_;
    int64_t parts_, first_ = 0;
    T* own_ = nullptr;
    Reusable<T> own_memory_, states_, sums_;
};

}  // namespace

template <class T>
template <class Work>
void TransferRun<T>::Implementation::each_block(Work work) const {
    std::vector<std::unique_ptr<TransferBlock<T>>> blocks(
        static_cast<size_t>(threads_over_blocks()));
    parallel_for(threads_over_blocks(), num_blocks(), [&](int64_t number, int thread) {
        auto& block = blocks[static_cast<size_t>(thread)];
        if (!block)
            block = std::make_unique<TransferBlock<T>>(call, kernels, view, num_own,
                                                       threads_in_block(), parts());
        block->take(number);
        work(*block, number);
    });
}

template <class T>
TransferRun<T>::TransferRun(const TransferCall<T>& call)
    : run_(std::make_unique<const Implementation>(call)) {}

template <class T>
TransferRun<T>::~TransferRun() = default;

template <class T>
int64_t TransferRun<T>::forward_bytes() const {
    return run_->threads_over_blocks() * run_->view.size() * static_cast<int64_t>(sizeof(T));
}

template <class T>
int64_t TransferRun<T>::backward_bytes(bool weights, bool inputs) const {
    const bool wanted[2] = {weights, inputs};
    const Route route = run_->route(wanted);
    return forward_bytes() * (route.states() + 1);
}

template <class T>
void TransferRun<T>::forward(const std::vector<int64_t>& components, T* values) const {
    run_->each_block([&](TransferBlock<T>& block, int64_t) {
        T* state = block.states(1);
        block.start(state);
        block.forward(0, run_->view.num_steps, state);
        block.read(components, state, values);
    });
}

template <class T>
void TransferRun<T>::backward(const std::vector<int64_t>& components, const T* cotangent,
                              T* const wanted[2], T* initial) const {
    const auto& view = run_->view;
    const TransferCall<T>& call = run_->call;
    const bool asked[2] = {wanted[0] != nullptr, wanted[1] != nullptr};
    const Route route = run_->route(asked);
    const int64_t blocks = run_->num_blocks();
    const auto num_wanted = static_cast<int64_t>(route.wanted.size());
    Totals generators(blocks, 12 * num_wanted);
    std::vector<Totals> shared;
    bool batched[2];
    for (int s = 0; s < 2; ++s) {
        batched[s] = call.angles.stride[s] != 0;
        shared.emplace_back(blocks, asked[s] && !batched[s] ? call.size[s] : 0);
        if (asked[s])
            std::fill_n(wanted[s], batched[s] ? call.angles.batch * call.size[s] : call.size[s],
                        T(0));
    }
    run_->each_block([&](TransferBlock<T>& block, int64_t number) {
        T* lambda = block.states(route.states() + 1);
        block.seed(components, cotangent, lambda);
        Gradients<T> out{generators.of(number), {}, {}, {call.size[0], call.size[1]}};
        for (int s = 0; s < 2; ++s) {
            if (asked[s] && batched[s]) out.batched[s] = wanted[s];
            if (asked[s] && !batched[s]) out.shared[s] = shared[static_cast<size_t>(s)].of(number);
        }
        go_back(block, view.num_steps, view.size(), route, initial != nullptr, lambda + view.size(),
                lambda, out);
        if (initial) block.store(lambda, initial);
    });
    const double* sums = generators.sum();
    double* totals[2] = {shared[0].sum(), shared[1].sum()};
    for (int64_t k = 0; k < num_wanted; ++k) {
        const int step = route.wanted[static_cast<size_t>(k)];
        if (run_->own[static_cast<size_t>(step)] >= 0) continue;
        const TransferFactor* factors = view.factors + view.steps[step].factor_begin;
        Rows<double> rows;
        std::copy_n(sums + 12 * k, 12, rows.begin());
        chain_gradient<double>(
            factors, shared_maps(view, view.steps[step]), rows,
            [&](int f, double& cosine, double& sine) {
                cosine_and_sine(view, factors[f].angle, cosine, sine);
            },
            [&](int f, double found) {
                const Angle& angle = factors[f].angle;
                if (asked[angle.source]) totals[angle.source][angle.index] += angle.scale * found;
            });
    }
    for (int s = 0; s < 2; ++s) {
        for (int64_t k = 0; asked[s] && !batched[s] && k < call.size[s]; ++k)
            wanted[s][k] = static_cast<T>(totals[s][k]);
    }
}

template class TransferRun<float>;
template class TransferRun<double>;

}  // namespace qsim::cpu
