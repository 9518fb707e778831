#include "schedule.hpp"

#include <algorithm>
#include <tuple>

namespace qsim {

namespace {

// Fewer rotations than this do not earn a layer of phases.
constexpr size_t kWorthALayer = 3;
// Tables of phases have 2^n entries: no larger than a cache.
constexpr int kMostQubitsForLayers = 14;

bool commute(uint64_t row, uint64_t mask) { return parity(row & mask) == 0; }

// Diagonal matrices that read these rows pass an item with this mask.
bool passes(const Item& diagonal, uint64_t mask) {
    bool all = commute(diagonal.row, mask);
    for (int c = 0; c < diagonal.controls; ++c) all = all && commute(diagonal.control_row[c], mask);
    return all;
}

// Orders items and layers. Phases wait until an item comes that they do not commute with.
class Ordering {
  public:
    Ordering(const std::vector<Item>& items, Schedule& schedule, const ScheduleRequest& request,
             bool layers)
        : items_(items), schedule_(schedule), batched_(request.batched), layers_(layers) {
        schedule.rotation.assign(items.size(), 0);
        for (int32_t k = 0; k < static_cast<int32_t>(items.size()); ++k) add(k);
        close_group();
        emit_phases();
    }

    std::vector<Operation> operations;

  private:
    void add(int32_t k) {
        const Item& item = items_[k];
        const bool shared = layers_ && !(item.depends & batched_);
        if (shared && item.kind == kDiagonal) {
            if (!std::all_of(group_.begin(), group_.end(),
                             [&](int32_t g) { return passes(item, items_[g].mask); })) {
                close_group();
            }
            waiting_.push_back({k, kWhole});
        } else if (shared && item.kind == kDense && item.controls == 0) {
            if (!std::all_of(group_.begin(), group_.end(),
                             [&](int32_t g) { return independent(item, items_[g]); })) {
                close_group();
            }
            group_.push_back(k);
        } else {
            close_group();
            emit(k, item.kind);
        }
    }

    static bool independent(const Item& a, const Item& b) {
        return commute(a.row, b.mask) && commute(b.row, a.mask);
    }

    // The group's rotations, between phases before and phases after; or as they are if they are
    // few.
    void close_group() {
        std::vector<int32_t> group;
        group.swap(group_);
        if (group.size() < kWorthALayer) {
            for (int32_t k : group) emit(k, kDense);
            return;
        }
        for (int32_t k : group) waiting_.push_back({k, kBefore});
        emit_phases();
        for (int32_t k : group) {
            schedule_.rotation[k] = 1;
            emit(k, kRotation);
            waiting_.push_back({k, kAfter});
        }
    }

    void emit(int32_t k, uint8_t kind) {
        const bool blocked = std::any_of(waiting_.begin(), waiting_.end(), [&](const Term& term) {
            // The phases of a group wait for the whole group, whose members they pass.
            return !passes(items_[term.item], items_[k].mask);
        });
        if (blocked) emit_phases();
        operations.push_back({kSingle, kind, k, -1, {}});
    }

    void emit_phases() {
        if (waiting_.empty()) return;
        const auto begin = static_cast<int32_t>(schedule_.terms.size());
        schedule_.terms.insert(schedule_.terms.end(), waiting_.begin(), waiting_.end());
        schedule_.layers.push_back({begin, static_cast<int32_t>(schedule_.terms.size())});
        operations.push_back(
            {kPhases, kDiagonal, static_cast<int32_t>(schedule_.layers.size()) - 1, 0, {}});
        waiting_.clear();
    }

    const std::vector<Item>& items_;
    Schedule& schedule_;
    const uint8_t batched_;
    const bool layers_;
    std::vector<int32_t> group_;
    std::vector<Term> waiting_;
};

// A subspace of addresses in reduced row echelon form: vector k alone has bit pivots[k].
struct Subspace {
    std::vector<uint64_t> vectors, pivots;

    // Take the mask in; false if that would need more than `most` dimensions.
    bool include(uint64_t mask, size_t most) {
        for (size_t k = 0; k < vectors.size(); ++k) {
            if (mask & pivots[k]) mask ^= vectors[k];
        }
        if (mask == 0) return true;
        if (vectors.size() == most) return false;
        const uint64_t pivot = uint64_t{1} << (63 - __builtin_clzll(mask));
        for (uint64_t& vector : vectors) {
            if (vector & pivot) vector ^= mask;
        }
        vectors.push_back(mask);
        pivots.push_back(pivot);
        return true;
    }

    // Full rank, by unit vectors, low addresses first; then in the order of the pivots.
    void complete(size_t size, int num_qubits) {
        for (int q = 0; q < num_qubits && vectors.size() < size; ++q)
            include(uint64_t{1} << q, size);
        std::vector<std::pair<uint64_t, uint64_t>> sorted;
        for (size_t k = 0; k < vectors.size(); ++k) sorted.emplace_back(pivots[k], vectors[k]);
        std::sort(sorted.begin(), sorted.end());
        for (size_t k = 0; k < sorted.size(); ++k) std::tie(pivots[k], vectors[k]) = sorted[k];
    }

    uint32_t coordinates(uint64_t mask) const {
        uint32_t local = 0;
        for (size_t k = 0; k < pivots.size(); ++k) local |= (mask & pivots[k]) ? 1u << k : 0u;
        return local;
    }

    // The functional parity(row & .) in these coordinates.
    uint32_t functional(uint64_t row) const {
        uint32_t local = 0;
        for (size_t k = 0; k < vectors.size(); ++k)
            local |= static_cast<uint32_t>(parity(row & vectors[k])) << k;
        return local;
    }
};

uint32_t highest_bit(uint32_t bits) { return 1u << (31 - __builtin_clz(bits)); }

// An item's masks in tile coordinates.
struct Local {
    uint32_t mask, row, control[2];

    Local(const Item& item, const Subspace& space)
        : mask(space.coordinates(item.mask)), row(space.functional(item.row)), control{} {
        for (int c = 0; c < item.controls; ++c) control[c] = space.functional(item.control_row[c]);
    }
    // The partner of j whose qubit is 0.
    uint32_t zero(uint32_t j) const { return parity(j & row) ? j ^ mask : j; }
};

void add_pairs(const Item& item, const Subspace& space, Operation& operation,
               std::vector<uint16_t>& indices) {
    const Local local(item, space);
    const uint32_t top = highest_bit(local.mask), size = 1u << space.vectors.size();
    for (uint32_t segment = 0; segment < 4; ++segment) {
        operation.begin[segment] = static_cast<uint32_t>(indices.size());
        if (segment >> item.controls) continue;
        for (uint32_t j = 0; j < size; ++j) {
            const bool here = parity(j & local.control[0]) == (segment & 1) &&
                              parity(j & local.control[1]) == segment >> 1;
            if (j & top || !here) continue;
            indices.push_back(static_cast<uint16_t>(local.zero(j)));
            indices.push_back(static_cast<uint16_t>(local.zero(j) ^ local.mask));
        }
    }
    operation.begin[4] = static_cast<uint32_t>(indices.size());
}

void add_quadruples(const Item& first, const Item& second, const Subspace& space,
                    Operation& operation, std::vector<uint16_t>& indices) {
    const Local a(first, space), b(second, space);
    const uint32_t top = highest_bit(a.mask);
    const uint32_t reduced = b.mask & top ? b.mask ^ a.mask : b.mask;  // without `top`
    const uint32_t next = highest_bit(reduced), size = 1u << space.vectors.size();
    operation.begin[0] = static_cast<uint32_t>(indices.size());
    for (uint32_t j = 0; j < size; ++j) {
        if (j & (top | next)) continue;
        const uint32_t zero = b.zero(a.zero(j));
        for (uint32_t mask : {0u, a.mask, b.mask, a.mask ^ b.mask}) {
            indices.push_back(static_cast<uint16_t>(zero ^ mask));
        }
    }
    operation.begin[1] = static_cast<uint32_t>(indices.size());
}

void add_offsets(const Subspace& space, std::vector<uint64_t>& offsets) {
    const size_t begin = offsets.size();
    offsets.push_back(0);
    for (uint64_t vector : space.vectors) {
        const size_t count = offsets.size() - begin;
        for (size_t j = 0; j < count; ++j) offsets.push_back(offsets[begin + j] ^ vector);
    }
}

bool is_real(const Operation& operation, const std::vector<Item>& items) {
    return operation.pass == kSingle && (operation.kind == kRotation || operation.kind == kReal) &&
           items[operation.first].controls == 0;
}

// Two neighbouring real items on different qubits of one frame: their quadruples are cosets of both
// masks.
bool can_join(const Operation& a, const Operation& b, const std::vector<Item>& items) {
    if (!is_real(a, items) || !is_real(b, items)) return false;
    const Item &first = items[a.first], &second = items[b.first];
    return commute(first.row, second.mask) && commute(second.row, first.mask);
}

}  // namespace

Schedule make_schedule(const std::vector<Item>& items, int num_qubits,
                       const ScheduleRequest& request) {
    Schedule made;
    const std::vector<Operation> ordered =
        Ordering(items, made, request, num_qubits <= kMostQubitsForLayers).operations;
    const auto size = static_cast<size_t>(std::min(request.bits, num_qubits));
    for (size_t begin = 0; begin < ordered.size();) {
        Subspace space;
        size_t end = begin;
        while (end < ordered.size() && (ordered[end].pass == kPhases ||
                                        space.include(items[ordered[end].first].mask, size))) {
            ++end;
        }
        space.complete(size, num_qubits);
        Sweep sweep{static_cast<int32_t>(made.operations.size()), 0, static_cast<int32_t>(size), 0,
                    static_cast<uint32_t>(made.offsets.size())};
        for (uint64_t pivot : space.pivots) sweep.pivots |= pivot;
        add_offsets(space, made.offsets);
        int layers = 0;
        for (size_t k = begin; k < end; ++k) {
            Operation operation = ordered[k];
            if (operation.pass == kPhases) {
                operation.second = layers++;
            } else if (k + 1 < end && can_join(operation, ordered[k + 1], items)) {
                operation.pass = kDouble;
                operation.second = ordered[++k].first;
                add_quadruples(items[operation.first], items[operation.second], space, operation,
                               made.indices);
            } else {
                add_pairs(items[operation.first], space, operation, made.indices);
            }
            made.operations.push_back(operation);
        }
        sweep.end = static_cast<int32_t>(made.operations.size());
        made.most_layers = std::max(made.most_layers, layers);
        made.sweeps.push_back(sweep);
        begin = end;
    }
    return made;
}

}  // namespace qsim
