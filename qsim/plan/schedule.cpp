#include "schedule.hpp"

#include <algorithm>
#include <bit>

#include "planner.hpp"
#include "subspace.hpp"

namespace qsim {

namespace {

// Fewer rotations than this do not earn a layer of phases.
constexpr size_t kWorthALayer = 3;
// Terms of a layer with more controls than this would have too many characters.
constexpr int kMostControlsInLayers = 2;

bool commute(uint64_t row, uint64_t mask) { return parity(row & mask) == 0; }

// Orders items and layers. Phases wait until an item comes that they do not commute with.
class Ordering {
  public:
    Ordering(const Program& program, Schedule& schedule, const ScheduleRequest& request)
        : program_(program),
          items_(program.items),
          schedule_(schedule),
          batched_(request.batched),
          layers_(request.layers) {
        schedule.rotation.assign(items_.size(), 0);
        if (request.product) find_product();
        for (int32_t k = 0; k < static_cast<int32_t>(items_.size()); ++k) {
            if (std::find(schedule.product.begin(), schedule.product.end(), k) ==
                schedule.product.end()) {
                add(k);
            }
        }
        close_group();
        emit_phases();
    }

    std::vector<Operation> operations;

  private:
    // Items on qubits that no relabelling has touched, if they commute with whatever comes before.
    void find_product() {
        std::vector<int32_t> product(static_cast<size_t>(program_.num_qubits), -1), others;
        size_t found = 0;
        for (int32_t k = 0; k < static_cast<int32_t>(items_.size()); ++k) {
            const Item& item = items_[k];
            const bool possible = (item.kind == kReal || item.kind == kDense) &&
                                  item.num_controls() == 0 && item.row == item.mask &&
                                  std::has_single_bit(item.mask);
            int32_t& place = product[possible ? std::countr_zero(item.mask) : 0];
            if (possible && place < 0 &&
                std::all_of(
                    others.begin(), others.end(),
                    [&](int32_t o) {
                        return passes(item, items_[o]) && reads_past(items_[o], item.mask);
                    })) {
                place = k;
                ++found;
            } else {
                others.push_back(k);
            }
            if (found == product.size() || others.size() > 2 * product.size()) break;
        }
        if (found) schedule_.product = std::move(product);
    }

    void add(int32_t k) {
        const Item& item = items_[k];
        const bool shared = layers_ && !(item.depends & batched_);
        if (shared && item.kind == kDiagonal && item.num_controls() <= kMostControlsInLayers) {
            if (!std::all_of(group_.begin(), group_.end(),
                             [&](int32_t g) { return passes(item, items_[g]); })) {
                close_group();
            }
            waiting_.push_back({k, kWhole});
        } else if (shared && item.kind == kDense && item.num_controls() == 0) {
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

    // The diagonal matrix commutes with the item.
    bool passes(const Item& diagonal, const Item& item) const {
        if (item.kind == kMatrixItem) {
            const auto& masks = program_.dense[item.dense].masks;
            return std::all_of(masks.begin(), masks.end(),
                               [&](uint64_t mask) { return reads_past(diagonal, mask); });
        }
        return item.kind == kDiagonal || reads_past(diagonal, item.mask);
    }

    bool reads_past(const Item& diagonal, uint64_t mask) const {
        bool all = commute(diagonal.row, mask);
        for (int c = diagonal.control_begin; c < diagonal.control_end; ++c)
            all = all && commute(program_.controls[c].row, mask);
        return all;
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
            return !passes(items_[term.item], items_[k]);
        });
        if (blocked) emit_phases();
        const Pass pass = kind == kDiagonal ? kSolos : kind == kMatrixItem ? kCosets : kPairs;
        operations.push_back({pass, kind, k, -1, {}, 0, 0});
    }

    void emit_phases() {
        if (waiting_.empty()) return;
        if (waiting_.size() == 1 && waiting_[0].part == kWhole) {  // no table for one matrix
            operations.push_back({kSolos, kDiagonal, waiting_[0].item, -1, {}, 0, 0});
            waiting_.clear();
            return;
        }
        const auto begin = static_cast<int32_t>(schedule_.terms.size());
        schedule_.terms.insert(schedule_.terms.end(), waiting_.begin(), waiting_.end());
        schedule_.layers.push_back({begin, static_cast<int32_t>(schedule_.terms.size())});
        const auto layer = static_cast<int32_t>(schedule_.layers.size()) - 1;
        operations.push_back({kPhases, kDiagonal, layer, 0, {}, 0, 0});
        waiting_.clear();
    }

    const Program& program_;
    const std::vector<Item>& items_;
    Schedule& schedule_;
    const uint8_t batched_;
    const bool layers_;
    std::vector<int32_t> group_;
    std::vector<Term> waiting_;
};

// A basis of coset representatives, with the qubits' and controls' values that each vector changes.
struct Representative {
    uint64_t place;
    uint32_t key;
};

class Scheduler {
  public:
    Scheduler(const Program& program, const ScheduleRequest& request)
        : program_(program),
          request_(request),
          num_place_bits_(program.num_qubits - request.lane_bits) {
        const std::vector<Operation> ordered = Ordering(program, made, request).operations;
        for (size_t begin = 0; begin < ordered.size();) begin = add_stage(ordered, begin);
    }

    Schedule made;

  private:
    size_t add_stage(const std::vector<Operation>& ordered, size_t begin) {
        const auto size = static_cast<size_t>(std::min(request_.stage_bits, num_place_bits_));
        const size_t rows = std::min(size, static_cast<size_t>(request_.row_bits));
        stage_ = {};
        const size_t end = fill(ordered, begin, ordered.size(), size - rows, stage_,
                                [&](uint64_t mask) { return mask >> request_.lane_bits; });
        stage_.complete(size, num_place_bits_);
        Stage stage{static_cast<int32_t>(made.sweeps.size()), 0,
                    static_cast<int32_t>(stage_.size()), stage_.all_pivots(),
                    static_cast<uint32_t>(made.vectors.size())};
        made.most_stage_bits = std::max(made.most_stage_bits, stage.bits);
        made.vectors.insert(made.vectors.end(), stage_.vectors.begin(), stage_.vectors.end());
        layers_ = 0;
        for (size_t k = begin; k < end;) k = add_sweep(ordered, k, end);
        made.most_layers = std::max(made.most_layers, layers_);
        stage.end = static_cast<int32_t>(made.sweeps.size());
        made.stages.push_back(stage);
        return end;
    }

    size_t add_sweep(const std::vector<Operation>& ordered, size_t begin, size_t last) {
        const auto most =
            static_cast<size_t>(std::min<int>(request_.tile_bits, static_cast<int>(stage_.size())));
        tile_ = {};
        const size_t end =
            fill(ordered, begin, last, most, tile_, [&](uint64_t mask) { return in_stage(mask); });
        tile_.complete(most, static_cast<int>(stage_.size()));
        Sweep sweep{static_cast<int32_t>(made.operations.size()), 0,
                    static_cast<int32_t>(tile_.size()), tile_.all_pivots(),
                    static_cast<uint32_t>(made.offsets.size())};
        add_offsets();
        for (size_t k = begin; k < end; ++k) {
            Operation operation = ordered[k];
            if (k + 1 < end && can_join(operation, ordered[k + 1])) {
                operation.pass = kQuads;
                operation.second = ordered[++k].first;
            }
            add_operation(operation);
        }
        sweep.end = static_cast<int32_t>(made.operations.size());
        made.sweeps.push_back(sweep);
        return end;
    }

    // Takes in operations while the subspace stays within `most` dimensions; one alone may need
    // more.
    template <class Map>
    size_t fill(const std::vector<Operation>& ordered, size_t begin, size_t end, size_t most,
                Subspace& space, Map map) const {
        size_t k = begin;
        for (; k < end; ++k) {
            Subspace larger = space;
            each_mask(ordered[k], [&](uint64_t mask) { larger.include(map(mask)); });
            if (larger.size() > most && k > begin) break;
            space = std::move(larger);
        }
        return k;
    }

    template <class Visit>
    void each_mask(const Operation& operation, Visit visit) const {
        if (operation.pass == kPairs) visit(program_.items[operation.first].mask);
        if (operation.pass != kCosets) return;
        for (uint64_t mask : program_.dense[program_.items[operation.first].dense].masks)
            visit(mask);
    }

    uint64_t in_stage(uint64_t mask) const {
        return stage_.coordinates(mask >> request_.lane_bits);
    }
    uint64_t in_tile(uint64_t mask) const { return tile_.coordinates(in_stage(mask)); }
    uint64_t row_in_tile(uint64_t row) const {
        return tile_.functional(stage_.functional(row >> request_.lane_bits));
    }

    void add_offsets() {
        const size_t begin = made.offsets.size();
        made.offsets.push_back(0);
        for (uint64_t vector : tile_.vectors) {
            const size_t count = made.offsets.size() - begin;
            for (size_t j = 0; j < count; ++j)
                made.offsets.push_back(made.offsets[begin + j] ^ vector);
        }
    }

    // Two neighbouring items on different qubits of one frame, both dense or both real and neither
    // controlled: their quadruples are cosets of both masks.
    bool can_join(const Operation& a, const Operation& b) const {
        if (a.pass != kPairs || b.pass != kPairs) return false;
        if ((a.kind == kDense) != (b.kind == kDense)) return false;
        const Item &first = program_.items[a.first], &second = program_.items[b.first];
        if (first.num_controls() || second.num_controls()) return false;
        const uint64_t one = in_tile(first.mask), other = in_tile(second.mask);
        return one && other && one != other && commute(first.row, second.mask) &&
               commute(second.row, first.mask);
    }

    void add_operation(Operation& operation) {
        operation.segment_begin = static_cast<int32_t>(made.segments.size());
        switch (operation.pass) {
            case kPhases:
                operation.second = layers_++;
                break;
            case kCosets:
                add_cosets(operation);
                break;
            default:
                add_segments(operation);
        }
        operation.segment_end = static_cast<int32_t>(made.segments.size());
        made.operations.push_back(operation);
    }

    void add_segments(Operation& operation) {
        const Item& first = program_.items[operation.first];
        std::vector<uint64_t> rows{row_in_tile(first.row)};
        Subspace masks;
        if (operation.pass != kSolos) {
            masks.include(in_tile(first.mask));
            operation.mask[0] = static_cast<uint16_t>(in_tile(first.mask));
            if (!operation.mask[0]) operation.pass = kWithin;
        }
        if (operation.pass == kQuads) {
            const Item& second = program_.items[operation.second];
            masks.include(in_tile(second.mask));
            operation.mask[1] = static_cast<uint16_t>(in_tile(second.mask));
            rows.push_back(row_in_tile(second.row));
        }
        for (int c = first.control_begin; c < first.control_end; ++c)
            rows.push_back(row_in_tile(program_.controls[c].row));
        split(representatives(masks, rows, static_cast<int>(tile_.size())));
    }

    void add_cosets(Operation& operation) {
        const Dense& dense = program_.dense[program_.items[operation.first].dense];
        const uint64_t lanes = (uint64_t{1} << request_.lane_bits) - 1;
        operation.second = static_cast<int32_t>(made.masks.size());
        std::vector<uint64_t> rows;
        Subspace masks;
        for (size_t q = 0; q < dense.masks.size(); ++q) {
            const uint64_t mask =
                in_tile(dense.masks[q]) << request_.lane_bits | (dense.masks[q] & lanes);
            made.masks.push_back(static_cast<uint16_t>(mask));
            masks.include(mask);
            rows.push_back(row_in_tile(dense.rows[q]) << request_.lane_bits |
                           (dense.rows[q] & lanes));
        }
        std::vector<Representative> basis =
            representatives(masks, {}, static_cast<int>(tile_.size()) + request_.lane_bits);
        for (Representative& r : basis) {  // all qubits 0
            const uint64_t place = r.place;
            for (size_t q = 0; q < rows.size(); ++q) {
                if (parity(rows[q] & place)) r.place ^= made.masks[operation.second + q];
            }
        }
        split(std::move(basis));
    }

    // One vector for each dimension outside the span of the masks, moved along the masks to where
    // the key is zero if there is such a place.
    static std::vector<Representative> representatives(const Subspace& masks,
                                                       const std::vector<uint64_t>& rows,
                                                       int bits) {
        const auto key_of = [&](uint64_t place) {
            uint32_t key = 0;
            for (size_t k = 0; k < rows.size(); ++k)
                key |= static_cast<uint32_t>(parity(rows[k] & place)) << k;
            return key;
        };
        std::vector<Representative> basis;
        const uint64_t pivots = masks.all_pivots();
        for (int q = 0; q < bits; ++q) {
            const uint64_t unit = uint64_t{1} << q;
            if (pivots & unit) continue;
            Representative best{unit, key_of(unit)};
            const size_t shifts = rows.empty() ? 1 : size_t{1} << masks.size();
            for (size_t shift = 1; shift < shifts && best.key; ++shift) {
                uint64_t place = unit;
                for (size_t k = 0; k < masks.size(); ++k)
                    if (shift >> k & 1) place ^= masks.vectors[k];
                if (!key_of(place)) best = {place, 0};
            }
            basis.push_back(best);
        }
        return basis;
    }

    // The span of the basis, in segments of equal keys.
    void split(std::vector<Representative> basis) {
        std::vector<Representative> changing;
        for (size_t k = 0; k < basis.size();) {
            for (const Representative& other : changing) {
                if (basis[k].key & lowest(other.key))
                    basis[k] = {basis[k].place ^ other.place, basis[k].key ^ other.key};
            }
            if (basis[k].key) {
                changing.push_back(basis[k]);
                basis.erase(basis.begin() + static_cast<std::ptrdiff_t>(k));
            } else {
                ++k;
            }
        }
        const size_t begin = made.indices.size(), size = size_t{1} << basis.size();
        made.indices.push_back(0);
        basis.insert(basis.end(), changing.begin(), changing.end());
        for (const Representative& r : basis) {
            const size_t count = made.indices.size() - begin;
            for (size_t j = 0; j < count; ++j)
                made.indices.push_back(static_cast<uint16_t>(made.indices[begin + j] ^ r.place));
        }
        for (uint32_t chosen = 0; chosen < 1u << changing.size(); ++chosen) {
            uint32_t key = 0;
            for (size_t k = 0; k < changing.size(); ++k)
                if (chosen >> k & 1) key ^= changing[k].key;
            const auto at = static_cast<uint32_t>(begin + chosen * size);
            made.segments.push_back({key, at, at + static_cast<uint32_t>(size)});
        }
    }

    static uint32_t lowest(uint32_t bits) { return bits & -bits; }

    const Program& program_;
    const ScheduleRequest request_;
    const int num_place_bits_;
    Subspace stage_, tile_;
    int layers_ = 0;
};

}  // namespace

Schedule make_schedule(const Program& program, const ScheduleRequest& request) {
    return std::move(Scheduler(program, request).made);
}

}  // namespace qsim
