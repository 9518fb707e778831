#include "trajectories.hpp"

#include <algorithm>
#include <cmath>

#include "../../plan/subspace.hpp"
#include "checkpoints.hpp"
#include "memory.hpp"
#include "parallel.hpp"

namespace qsim::cpu {

namespace {

uint64_t mixed(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

Place place_of(const Program& program, const Item& item) {
    Place place;
    const auto add = [&](uint64_t mask, uint64_t row, uint32_t flip) {
        place.flips |= flip << place.masks.size();
        place.masks.push_back(mask);
        place.rows.push_back(row);
    };
    if (item.kind == kMatrixItem || item.kind == kChannelItem) {
        const Dense& dense = program.dense[static_cast<size_t>(item.dense)];
        for (size_t q = 0; q < dense.masks.size(); ++q)
            add(dense.masks[q], dense.rows[q], dense.flips >> q & 1);
    } else {
        add(item.mask, item.row, item.flip);
        place.controls.assign(program.controls.begin() + item.control_begin,
                              program.controls.begin() + item.control_end);
    }
    Subspace space;
    place.offsets = {0};
    for (const uint64_t mask : place.masks) {
        space.include(mask);
        const size_t count = place.offsets.size();
        for (size_t i = 0; i < count; ++i) place.offsets.push_back(place.offsets[i] ^ mask);
    }
    place.pivots = space.all_pivots();
    return place;
}

// Mean of K+K for an operator, in a density matrix that is not normalised.
double mean_square(const Complex* operator_, const std::vector<Complex>& rho, size_t side) {
    double total = 0;
    for (size_t a = 0; a < side; ++a) {
        for (size_t i = 0; i < side; ++i) {
            for (size_t j = 0; j < side; ++j) {
                const Complex left = operator_[a * side + i] * rho[i * side + j];
                total += (left * std::conj(operator_[a * side + j])).real();
            }
        }
    }
    return total;
}

}  // namespace

double uniform(uint64_t seed, int64_t trajectory, int64_t draw) {
    constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
    const uint64_t own = mixed(seed + kStep * static_cast<uint64_t>(trajectory + 1));
    return static_cast<double>(mixed(own + kStep * static_cast<uint64_t>(draw + 1)) >> 11) *
           0x1p-53;
}

template <class T>
struct TrajectoryRun<T>::Implementation {
    TrajectoryCall<T> call;
    const Kernels<T>& kernels;
    View<T> view{};
    std::vector<Place> places;                // of items
    std::vector<std::vector<uint8_t>> plain;  // [choices]: operators that do nothing
    std::vector<std::vector<T>> dense;        // matrices as numbers

    explicit Implementation(const TrajectoryCall<T>& given)
        : call(given), kernels(kernels_for<T>()) {
        const Program& program = call.program;
        view.num_qubits = program.num_qubits;
        view.num_items = static_cast<int>(program.items.size());
        view.factors = program.factors.data();
        view.angles = call.angles;
        view.groups = call.measurement.groups.data();
        view.num_groups = static_cast<int64_t>(call.measurement.groups.size());
        view.paulis = call.measurement.paulis.data();
        for (const Item& item : program.items) places.push_back(place_of(program, item));
        for (const Choice& choice : program.choices) plain.push_back(plain_operators(choice));
        for (const Dense& matrix : program.dense) {
            std::vector<T>& numbers = dense.emplace_back();
            for (const Complex& entry : matrix.matrix)
                numbers.insert(numbers.end(),
                               {static_cast<T>(entry.real()), static_cast<T>(entry.imag())});
        }
    }

    static std::vector<uint8_t> plain_operators(const Choice& choice) {
        std::vector<uint8_t> found;
        const auto side = static_cast<size_t>(std::sqrt(choice.entries));
        for (size_t k = 0; k < choice.weights.size(); ++k) {
            double distance = 0;
            for (size_t e = 0; e < choice.entries; ++e) {
                const double one = e % (side + 1) == 0 ? 1 : 0;
                distance += std::norm(choice.operators[k * choice.entries + e] - one);
            }
            found.push_back(distance < 1e-24);
        }
        return found;
    }

    int64_t size() const { return int64_t{2} * kLanes<T> << view.num_qubits; }
    int64_t num_blocks() const { return (call.angles.batch + kLanes<T> - 1) / kLanes<T>; }
    int threads() const {
        return static_cast<int>(std::clamp<int64_t>(call.threads, 1, num_blocks()));
    }

    Route route(const bool wanted[2]) const {
        std::vector<int> steps;
        for (int k = 0; k < view.num_items; ++k) {
            const uint8_t depends = call.program.items[static_cast<size_t>(k)].depends;
            if ((wanted[0] && depends & 1) || (wanted[1] && depends & 2)) steps.push_back(k);
        }
        return {std::move(steps), size() * static_cast<int64_t>(sizeof(T))};
    }

    template <class Work>
    void each_block(Work work) const;
};

namespace {

// W trajectories at a time.
template <class T>
class TrajectoryBlock {
    static constexpr int W = kLanes<T>;

  public:
    template <class Implementation>
    explicit TrajectoryBlock(const Implementation& run)
        : call_(run.call),
          program_(run.call.program),
          kernels_(run.kernels),
          view_(run.view),
          places_(run.places.data()),
          plain_(run.plain.data()),
          dense_(run.dense.data()),
          size_(run.size()),
          decided_(static_cast<size_t>(program_.num_draws)),
          chosen_(decided_.size() * W),
          scales_(decided_.size() * W) {}

    void take(int64_t number) {
        first_ = number * W;
        std::fill(decided_.begin(), decided_.end(), uint8_t{0});
    }

    T* states(int64_t count) { return states_.get(count * size_); }

    void start(T* psi) const {
        std::fill_n(psi, size_, T(0));
        if (!call_.initial) {
            std::fill_n(psi, W, T(1));
            return;
        }
        for (int l = 0; l < W; ++l) {
            const int64_t sample =
                std::min(first_ + l, call_.angles.batch - 1) / call_.trajectories;
            const T* row = call_.initial + sample * call_.initial_stride;
            for (int64_t p = 0; p < view_.num_vectors(); ++p) {
                psi[2 * W * p + l] = row[2 * p];
                psi[2 * W * p + W + l] = row[2 * p + 1];
            }
        }
    }

    void forward(int begin, int end, T* psi) {
        for (int k = begin; k < end; ++k) apply(k, false, psi, psi);
    }

    void apply(int k, bool back, const T* from, T* to) {
        const Item& item = program_.items[static_cast<size_t>(k)];
        if (item.kind == kMatrixItem) {
            apply_matrix(k, false, back, dense_[item.dense].data(), from, to);
            return;
        }
        if (item.kind == kChannelItem) {
            const int32_t choice = program_.dense[static_cast<size_t>(item.dense)].choice;
            if (!decide(choice)) decide_by(k, choice, from);
            const T* lanes = chosen(choice);
            if (lanes || from != to) apply_or_copy(k, back, lanes, from, to);
            return;
        }
        for (int f = item.factor_begin;; from = to) {
            f = collect(item, f);
            if (!identity_ || from != to)
                apply_or_copy(k, back, identity_ ? nullptr : product_, from, to);
            if (f == item.factor_end) return;
            decide_by(k, program_.factors[static_cast<size_t>(f)].choice, to);
        }
    }

    // The derivatives of an item's angles; `given` is the state before it, lambda goes back.
    void differentiate(int k, int64_t, const T* given, T* lambda, const Gradients<T>& out) {
        const Item& item = program_.items[static_cast<size_t>(k)];
        const int count = item.factor_end - item.factor_begin;
        T* factors = factors_.get(2 * count * kMatrix);
        T* products = factors + count * kMatrix;
        for (int f = 0; f < count; ++f) {
            T *own = factors + f * kMatrix, *product = products + f * kMatrix;
            if (!matrix_of(program_.factors[static_cast<size_t>(item.factor_begin + f)], own))
                set_identity(own);
            std::copy_n(own, kMatrix, product);
            if (f > 0) {
                std::copy_n(product - kMatrix, kMatrix, product);
                kernels_.trajectories->multiply(own, false, product);
            }
        }
        kernels_.trajectories->contract(view_, places_[k], given, lambda, sums_.get(kMatrix));
        T* sums = sums_.get(kMatrix);
        for (int f = count - 1; f >= 0; --f) {
            const Factor& factor = program_.factors[static_cast<size_t>(item.factor_begin + f)];
            if (factor.angle.source != kConstant)
                kernels_.trajectories->gradient(view_, factor, first_, products + f * kMatrix, sums,
                                                out);
            kernels_.trajectories->multiply(factors + f * kMatrix, true, sums);
        }
        apply(k, true, lambda, lambda);
    }

    void expval(const T* psi, T* values) const {
        const auto& paulis = call_.measurement.paulis;
        std::vector<double> totals(paulis.size() * W);
        kernels_.expval(view_, 0, view_.num_vectors(), psi, totals.data());
        each_value([&](size_t pauli, int lane, int64_t place) {
            values[place] =
                static_cast<T>(sign(paulis[pauli]) * totals[pauli * W + static_cast<size_t>(lane)]);
        });
    }

    // lambda <- sum over paulis of cotangent P psi.
    void seed(const T* psi, const T* cotangent, T* lambda) {
        const auto& paulis = call_.measurement.paulis;
        T* weights = weights_.zeros(static_cast<int64_t>(paulis.size()) * W);
        each_value([&](size_t pauli, int lane, int64_t place) {
            weights[pauli * W + static_cast<size_t>(lane)] =
                static_cast<T>(sign(paulis[pauli])) * cotangent[place];
        });
        kernels_.seed(view_, 0, view_.num_vectors(), psi, weights, lambda);
    }

    void sample(const T* psi, int64_t* states) const {
        double numbers[W];
        uint64_t addresses[W];
        for (int l = 0; l < W; ++l) numbers[l] = number(l, program_.num_draws);
        kernels_.trajectories->sample(view_, psi, numbers, addresses);
        for (int l = 0; l < count(); ++l) {
            int64_t& state = states[first_ + l];
            state = 0;
            for (size_t q = 0; q < program_.rows.size(); ++q)
                state |= static_cast<int64_t>(
                             parity(program_.rows[q] & (addresses[l] ^ program_.offset)))
                         << q;
        }
    }

  private:
    static constexpr int64_t kMatrix = int64_t{8} * W;  // lanes of a 2x2 matrix

    int64_t count() const { return std::min<int64_t>(W, call_.angles.batch - first_); }

    static double sign(const Pauli& pauli) {
        return (pauli.sign ? -1 : 1) * (pauli.num_y & 2 ? -1 : 1);
    }

    template <class Visit>
    void each_value(Visit visit) const {
        const auto& paulis = call_.measurement.paulis;
        for (size_t k = 0; k < paulis.size(); ++k) {
            for (int l = 0; l < count(); ++l)
                visit(k, l, (first_ + l) * static_cast<int64_t>(paulis.size()) + paulis[k].column);
        }
    }

    void apply_matrix(int k, bool lanes, bool back, const T* matrix, const T* from, T* to) const {
        kernels_.trajectories->apply(view_, places_[k], lanes, back, matrix, from, to);
    }

    void apply_or_copy(int k, bool back, const T* lanes, const T* from, T* to) const {
        if (lanes) {
            apply_matrix(k, true, back, lanes, from, to);
        } else {
            std::copy_n(from, size_, to);
        }
    }

    // --- Matrices
    // ---------------------------------------------------------------------------------

    static void set_identity(T* matrix) {
        std::fill_n(matrix, kMatrix, T(0));
        for (int e : {0, 3}) std::fill_n(matrix + 2 * W * e, W, T(1));
    }

    // Lanes of a factor's matrix; false if it does nothing.
    bool matrix_of(const Factor& factor, T* to) {
        if (factor.choice < 0) {
            kernels_.trajectories->factor(view_, factor, first_, to);
            return true;
        }
        const T* lanes = chosen(factor.choice);
        if (lanes) std::copy_n(lanes, kMatrix, to);
        return lanes != nullptr;
    }

    // product_ <- the item's factors from f on, up to the end or a choice that takes the state.
    int collect(const Item& item, int f) {
        T* own = own_.get(2 * kMatrix);
        product_ = own + kMatrix;
        identity_ = true;
        for (; f < item.factor_end; ++f) {
            const Factor& factor = program_.factors[static_cast<size_t>(f)];
            if (factor.choice >= 0 && !decide(factor.choice)) return f;
            if (!matrix_of(factor, identity_ ? product_ : own)) continue;
            if (!identity_) kernels_.trajectories->multiply(own, false, product_);
            identity_ = false;
        }
        return f;
    }

    // Lanes of the operators that were chosen; null if they do nothing.
    const T* chosen(int32_t number) {
        const Choice& choice = program_.choices[static_cast<size_t>(number)];
        const int32_t* operators = chosen_.data() + choice.draw * W;
        const T* scales = scales_.data() + choice.draw * W;
        bool plain = true;
        for (int l = 0; l < W; ++l)
            plain = plain && plain_[number][static_cast<size_t>(operators[l])] && scales[l] == 1;
        if (plain) return nullptr;
        T* lanes = lanes_.get(static_cast<int64_t>(2 * W * choice.entries));
        for (int l = 0; l < W; ++l) {
            const Complex* entries =
                choice.operators.data() + static_cast<size_t>(operators[l]) * choice.entries;
            for (size_t e = 0; e < choice.entries; ++e) {
                lanes[2 * W * e + static_cast<size_t>(l)] =
                    scales[l] * static_cast<T>(entries[e].real());
                lanes[2 * W * e + W + static_cast<size_t>(l)] =
                    scales[l] * static_cast<T>(entries[e].imag());
            }
        }
        return lanes;
    }

    // --- Choices
    // ----------------------------------------------------------------------------------

    double number(int lane, int64_t draw) const {
        const int64_t row = first_ + lane;
        return uniform(call_.seeds[row / call_.trajectories % call_.num_seeds],
                       row % call_.trajectories, draw);
    }

    // Below the sum of the least probabilities, a number chooses whatever the state is. False if
    // one of the lanes is beyond.
    bool decide(int32_t number_) {
        const Choice& choice = program_.choices[static_cast<size_t>(number_)];
        const auto draw = static_cast<size_t>(choice.draw);
        if (decided_[draw]) return true;
        const auto last = static_cast<int32_t>(choice.least.size()) - 1;
        bool all = true;
        for (int l = 0; l < W; ++l) {
            double rest = l < count() ? number(l, choice.draw) : 0;
            int32_t k = 0;
            while (k <= last && rest >= choice.least[static_cast<size_t>(k)])
                rest -= choice.least[static_cast<size_t>(k++)];
            if (k > last && (l >= count() || beyond(choice) < kRounding)) k = last;
            chosen_[draw * W + static_cast<size_t>(l)] = k;
            scales_[draw * W + static_cast<size_t>(l)] = 1;
            all = all && k <= last;
        }
        decided_[draw] = all;
        return all;
    }

    static double beyond(const Choice& choice) {
        double rest = 1;
        for (const double least : choice.least) rest -= least;
        return rest;
    }

    // The lanes that were left open choose by their states.
    void decide_by(int k, int32_t number_, const T* psi) {
        const Choice& choice = program_.choices[static_cast<size_t>(number_)];
        const auto draw = static_cast<size_t>(choice.draw);
        const auto side = static_cast<size_t>(std::sqrt(choice.entries));
        T* sums = sums_.get(static_cast<int64_t>(2 * W * choice.entries));
        kernels_.trajectories->contract(view_, places_[k], psi, psi, sums);
        std::vector<Complex> rho(choice.entries);
        for (size_t l = 0; l < W; ++l) {
            int32_t& found = chosen_[draw * W + l];
            if (found < static_cast<int32_t>(choice.least.size())) continue;
            for (size_t e = 0; e < rho.size(); ++e)
                rho[e] = {static_cast<double>(sums[2 * W * e + l]),
                          static_cast<double>(sums[2 * W * e + W + l])};
            double norm = 0;
            for (size_t i = 0; i < side; ++i) norm += rho[i * (side + 1)].real();
            double rest = number(static_cast<int>(l), choice.draw), square = norm;
            for (const double least : choice.least) rest -= least;
            for (size_t o = 0; o < choice.least.size(); ++o) {
                const double mean =
                    mean_square(choice.operators.data() + o * choice.entries, rho, side);
                const double more = choice.weights[o] * mean / norm - choice.least[o];
                if (more <= kRounding) continue;
                found = static_cast<int32_t>(o), square = mean;
                if (rest < more) break;
                rest -= more;
            }
            scales_[draw * W + l] = static_cast<T>(1 / std::sqrt(square));
        }
        decided_[draw] = 1;
    }

    static constexpr double kRounding = 1e-9;

    const TrajectoryCall<T>& call_;
    const Program& program_;
    const Kernels<T>& kernels_;
    const View<T>& view_;
    const Place* places_;
    const std::vector<uint8_t>* plain_;
    const std::vector<T>* dense_;
    int64_t size_, first_ = 0;
    std::vector<uint8_t> decided_;  // [draws]
    std::vector<int32_t> chosen_;   // [draws][W]
    std::vector<T> scales_;         // [draws][W]
    T* product_ = nullptr;
    bool identity_ = true;
    Reusable<T> states_, own_, factors_, lanes_, sums_, weights_;
};

}  // namespace

template <class T>
template <class Work>
void TrajectoryRun<T>::Implementation::each_block(Work work) const {
    std::vector<std::unique_ptr<TrajectoryBlock<T>>> blocks(static_cast<size_t>(threads()));
    parallel_for(threads(), num_blocks(), [&](int64_t number, int thread) {
        auto& block = blocks[static_cast<size_t>(thread)];
        if (!block) block = std::make_unique<TrajectoryBlock<T>>(*this);
        block->take(number);
        work(*block, number);
    });
}

template <class T>
TrajectoryRun<T>::TrajectoryRun(const TrajectoryCall<T>& call)
    : run_(std::make_unique<const Implementation>(call)) {}

template <class T>
TrajectoryRun<T>::~TrajectoryRun() = default;

template <class T>
int64_t TrajectoryRun<T>::forward_bytes() const {
    return run_->threads() * run_->size() * static_cast<int64_t>(sizeof(T));
}

template <class T>
int64_t TrajectoryRun<T>::backward_bytes(bool weights, bool inputs) const {
    const bool wanted[2] = {weights, inputs};
    return forward_bytes() * (run_->route(wanted).states() + 1);
}

template <class T>
void TrajectoryRun<T>::forward(T* values) const {
    run_->each_block([&](TrajectoryBlock<T>& block, int64_t) {
        T* psi = block.states(1);
        block.start(psi);
        block.forward(0, run_->view.num_items, psi);
        block.expval(psi, values);
    });
}

template <class T>
void TrajectoryRun<T>::samples(int64_t* states) const {
    run_->each_block([&](TrajectoryBlock<T>& block, int64_t) {
        T* psi = block.states(1);
        block.start(psi);
        block.forward(0, run_->view.num_items, psi);
        block.sample(psi, states);
    });
}

template <class T>
void TrajectoryRun<T>::backward(const T* cotangent, T* const wanted[2]) const {
    const auto& call = run_->call;
    const bool asked[2] = {wanted[0] != nullptr, wanted[1] != nullptr};
    const Route route = run_->route(asked);
    std::vector<Totals> shared;
    for (int s = 0; s < 2; ++s) {
        const bool batched = call.angles.stride[s] != 0;
        shared.emplace_back(run_->num_blocks(), asked[s] && !batched ? call.size[s] : 0);
        if (asked[s] && batched) std::fill_n(wanted[s], call.angles.batch * call.size[s], T(0));
    }
    run_->each_block([&](TrajectoryBlock<T>& block, int64_t number) {
        T *lambda = block.states(route.states() + 1), *kept = lambda + run_->size();
        block.start(kept);
        block.forward(0, run_->view.num_items, kept);
        block.seed(kept, cotangent, lambda);
        Gradients<T> out{nullptr, {}, {}, {call.size[0], call.size[1]}};
        for (int s = 0; s < 2; ++s) {
            if (asked[s] && call.angles.stride[s]) out.batched[s] = wanted[s];
            if (asked[s] && !call.angles.stride[s])
                out.shared[s] = shared[static_cast<size_t>(s)].of(number);
        }
        go_back(block, run_->view.num_items, run_->size(), route, false, kept, lambda, out);
    });
    for (int s = 0; s < 2; ++s) {
        const double* totals = shared[static_cast<size_t>(s)].sum();
        for (int64_t k = 0; k < shared[static_cast<size_t>(s)].size; ++k)
            wanted[s][k] = static_cast<T>(totals[k]);
    }
}

template class TrajectoryRun<float>;
template class TrajectoryRun<double>;

}  // namespace qsim::cpu
