#include "trajectories.hpp"

#include <algorithm>
#include <cmath>

#include "../../plan/subspace.hpp"
#include "checkpoints.hpp"
#include "parallel.hpp"
#include "trajectory_block.hpp"
#include "trajectory_order.hpp"

namespace qsim::cpu {

namespace {

constexpr int64_t kLongestGroup = 32;  // blocks

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
    place.span();
    return place;
}

}  // namespace

void Place::span() {
    Subspace space;
    offsets = {0};
    for (const uint64_t mask : masks) {
        space.include(mask);
        const size_t count = offsets.size();
        for (size_t i = 0; i < count; ++i) offsets.push_back(offsets[i] ^ mask);
    }
    pivots = space.all_pivots();
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

    // Calls read(block, psi) with the final states of all blocks.
    template <class Read>
    void finish(Read read) const;
    // The same for many trajectories of a sample: once for those that choose alike, and up to the
    // first own choice on one state for all.
    bool shares() const { return call.trajectories >= 2 * kLanes<T>; }
    template <class Read>
    void finish_in_order(Read read) const;
};

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
template <class Read>
void TrajectoryRun<T>::Implementation::finish(Read read) const {
    if (shares()) return finish_in_order(read);
    each_block([&](TrajectoryBlock<T>& block, int64_t) {
        T* psi = block.states(1);
        block.start(psi);
        block.forward(0, view.num_items, psi);
        read(block, psi);
    });
}

template <class T>
template <class Read>
void TrajectoryRun<T>::Implementation::finish_in_order(Read read) const {
    struct Worker {
        TrajectoryBlock<T> block;
        Leader<T> leader;
        explicit Worker(const Implementation& run) : block(run), leader(run) {}
    };
    const Order order(call);
    const auto blocks = static_cast<int64_t>(order.blocks.size());
    std::vector<std::unique_ptr<Worker>> workers(static_cast<size_t>(threads()));
    // Each group of blocks has a leader of its own: large groups, but enough for all threads.
    const int64_t length = std::clamp<int64_t>(blocks / (4 * threads()), 1, kLongestGroup);
    const int64_t groups = (blocks + length - 1) / length;
    parallel_for(threads(), groups, [&](int64_t group, int thread) {
        auto& worker = workers[static_cast<size_t>(thread)];
        if (!worker) worker = std::make_unique<Worker>(*this);
        worker->leader.forget();
        const int64_t end = std::min(blocks, (group + 1) * length);
        for (int64_t number = group * length; number < end; ++number) {
            const WayBlock& lanes = order.blocks[static_cast<size_t>(number)];
            const Way* ways = order.ways.data() + lanes.first;
            auto& block = worker->block;
            T* psi = block.states(1);
            block.take(lanes, ways, order.rows.data());
            std::copy_n(worker->leader.before(ways->leave, lanes.sample), size(), psi);
            block.forward(ways->leave, view.num_items, psi);
            read(block, psi);
        }
    });
}

template <class T>
TrajectoryRun<T>::TrajectoryRun(const TrajectoryCall<T>& call)
    : run_(std::make_unique<const Implementation>(call)) {}

template <class T>
TrajectoryRun<T>::~TrajectoryRun() = default;

template <class T>
int64_t TrajectoryRun<T>::forward_bytes() const {
    const int64_t state = run_->threads() * run_->size() * static_cast<int64_t>(sizeof(T));
    return run_->shares() ? 2 * state + Order::bytes(run_->call.angles.batch) : state;
}

template <class T>
int64_t TrajectoryRun<T>::backward_bytes(bool weights, bool inputs) const {
    const bool wanted[2] = {weights, inputs};
    const int64_t states = run_->route(wanted).states() + 1;
    return states * run_->threads() * run_->size() * static_cast<int64_t>(sizeof(T));
}

template <class T>
void TrajectoryRun<T>::forward(T* values) const {
    run_->finish([&](auto& block, const T* psi) { block.expval(psi, values); });
}

template <class T>
void TrajectoryRun<T>::samples(int64_t* states) const {
    run_->finish([&](auto& block, const T* psi) { block.sample(psi, states); });
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
