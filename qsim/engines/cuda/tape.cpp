// Items -> acts in groups (registers) in batches (matrices held at a time) in stages (tiles).
#include "tape.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "../../plan/subspace.hpp"
#include "sections.hpp"
#include "tape.cuh"

namespace qsim::cuda {

namespace {

constexpr double kRounding = 1e-9;  // probabilities below are none

int bit_of(uint64_t power) { return std::countr_zero(power); }

// The basis of a group and the row that reads each of its qubits. Rows read no other qubit of the
// group, so that a row has one value in all pairs of a coset.
struct Frame {
    std::vector<uint64_t> masks, rows;

    // The axis of an item with this mask and row, a new one if there is room, or -1.
    int axis(uint64_t mask, uint64_t row, size_t most) {
        for (size_t k = 0; k < masks.size(); ++k) {
            if (masks[k] == mask && rows[k] == row) return static_cast<int>(k);
            if (parity(row & masks[k]) || parity(rows[k] & mask)) return -1;
        }
        if (masks.size() == most) return -1;
        masks.push_back(mask);
        rows.push_back(row);
        return static_cast<int>(masks.size()) - 1;
    }

    // Other vectors up to `size`, which no row reads.
    void complete(size_t size, int bits) {
        Subspace span;
        for (uint64_t mask : masks) span.include(mask);
        const size_t items = rows.size();
        for (int q = bits;
             q-- > 0 && masks.size() < size;) {  // high bits: threads stand side by side
            uint64_t vector = uint64_t{1} << q;
            if (span.reduced(vector) == 0) continue;
            span.include(vector);
            for (size_t k = 0; k < items; ++k)
                if (parity(rows[k] & vector)) vector ^= masks[k];
            masks.push_back(vector);
        }
    }
};

template <class T>
class Writer {
  public:
    Writer(const Program& program, bool back)
        : program_(program),
          bits_(std::max(program.num_qubits, kGroupBits<T>)),
          tile_bits_(std::min(bits_, kTileBits<T> + (back ? 0 : 1))) {
        if (program.num_qubits > kMostQubits)
            throw std::invalid_argument("the GPU engine takes at most 40 qubits");
        for (const Item& item : program.items) add_pieces(item);
        for (size_t begin = 0; begin < pieces_.size() || stages_.empty();) begin = add_stage(begin);
    }

    TapeImage image() {
        const auto diagonal = std::count_if(
            acts_.begin(), acts_.end(), [](const Act& act) { return act.kind == kDiagonalAct; });
        TapeImage image{{},      bits_, kGroupBits<T>, num(acts_), static_cast<int>(diagonal), {},
                        shapes_, {}};
        for (const qsim::Choice& choice : program_.choices)
            image.choices.push_back(static_cast<int>(choice.least.size()));
        for (int wanted = 0; wanted < 4; ++wanted) image.first_groups.push_back(first(wanted));
        Tape tape{};
        tape.num_qubits = program_.num_qubits;
        tape.bits = bits_;
        tape.num_acts = image.num_acts;
        tape.num_stages = static_cast<int>(stages_.size());
        tape.num_parameters[0] = program_.num_weights;
        tape.num_parameters[1] = program_.num_inputs;
        tape.num_draws = program_.num_draws;
        tape.num_choices = num(program_.choices);
        tape.offset = program_.offset;
        std::copy(program_.columns.begin(), program_.columns.end(), tape.columns);
        std::copy(program_.rows.begin(), program_.rows.end(), tape.readers);
        std::string& bytes = image.bytes;
        bytes.resize(sizeof(Tape));
        tape.stages = append_section(bytes, stages_);
        tape.batches = append_section(bytes, batches_);
        tape.groups = append_section(bytes, groups_);
        tape.acts = append_section(bytes, acts_);
        tape.rows = append_section(bytes, rows_);
        tape.factors = append_section(bytes, factors());
        tape.dense = append_section(bytes, dense_);
        std::vector<T> operators;
        std::vector<double> chances;
        tape.choices = append_section(bytes, choices(operators, chances));
        tape.operators = append_section(bytes, operators);
        tape.chances = append_section(bytes, chances);
        std::vector<Use> uses;
        for (int source = 0; source < 2; ++source)
            tape.use_begins[source] = append_section(
                bytes, collect_uses(
                           acts_, source, tape.num_parameters[source],
                           [&](int f) -> const Angle& { return program_.factors[f].angle; }, uses));
        tape.uses = append_section(bytes, uses);
        std::memcpy(bytes.data(), &tape, sizeof(Tape));
        return image;
    }

  private:
    // An item, or a part of its factors: a choice that the state makes begins one.
    struct Piece : Item {
        int32_t decides;
    };

    static constexpr size_t kSize = kGroupBits<T>;

    bool is_matrix(const Item& item) const {
        return item.kind == kMatrixItem || item.kind == kChannelItem;
    }
    bool is_wide(const Item& item) const {
        return is_matrix(item) && program_.dense[item.dense].masks.size() > kSize;
    }

    bool is_free(int32_t choice) const {
        const auto& least = program_.choices[choice].least;
        return std::accumulate(least.begin(), least.end(), 0.0) > 1 - kRounding;
    }

    void add_pieces(const Item& item) {
        Piece piece{item, -1};
        if (item.kind == kChannelItem) {
            const int32_t choice = program_.dense[item.dense].choice;
            if (!is_free(choice)) piece.decides = choice;
        }
        for (int f = item.factor_begin; f < item.factor_end; ++f) {
            const int32_t choice = program_.factors[f].choice;
            if (choice < 0 || is_free(choice)) continue;
            piece.factor_end = f;
            if (f > item.factor_begin) pieces_.push_back(piece);
            piece.factor_begin = f;
            piece.decides = choice;
        }
        piece.factor_end = item.factor_end;
        pieces_.push_back(piece);
    }

    int depends(const Piece& piece) const {
        int found = 0;
        for (int f = piece.factor_begin; f < piece.factor_end; ++f) {
            const int source = program_.factors[f].angle.source;
            if (source != kConstant) found |= 1 << source;
        }
        return found;
    }

    size_t add_stage(size_t begin) {
        const auto& items = pieces_;
        if (begin < items.size() && is_wide(items[begin])) {
            add_wide(items[begin]);
            return begin + 1;
        }
        const auto most = static_cast<size_t>(tile_bits_);
        space_ = {};
        if (bits_ > tile_bits_) space_.complete(kRunBits, bits_);
        size_t end = begin;
        for (; end < items.size() && !is_wide(items[end]); ++end) {
            if (end > begin && bits_ > tile_bits_ && items[end].decides >= 0) break;
            Subspace larger = space_;
            include(items[end], larger);
            if (larger.size() > most) break;
            space_ = std::move(larger);
        }
        space_.complete(most, bits_);
        add_batches(begin, end);
        return end;
    }

    void include(const Item& item, Subspace& space) const {
        if (is_matrix(item)) {
            for (uint64_t mask : program_.dense[item.dense].masks) space.include(mask);
        } else if (item.kind != kDiagonal) {
            space.include(item.mask);
        }
    }

    void add_batches(size_t begin, size_t end) {
        Stage stage{};
        stage.batch_begin = static_cast<int>(batches_.size());
        stage.bits = static_cast<int>(space_.size());
        stage.matrix = -1;
        std::copy(space_.vectors.begin(), space_.vectors.end(), stage.vectors);
        for (size_t k = 0; k < space_.size(); ++k) stage.pivots[k] = bit_of(space_.pivots[k]);
        records_ = 0;
        for (size_t k = begin; k < end;) {
            const size_t from = k;
            Batch batch{num(groups_), 0, num(acts_), 0, pieces_[k].decides};
            size_t last = std::min(end, from + kBatchActs);
            for (size_t next = from + 1; next < last; ++next)
                if (pieces_[next].decides >= 0) last = next;
            while (k < last) k = add_group(k, last);
            batch.group_end = num(groups_);
            batch.act_end = num(acts_);
            batches_.push_back(batch);
        }
        stage.batch_end = num(batches_);
        stages_.push_back(stage);
        const bool decides = begin < end && bits_ > tile_bits_;
        shapes_.push_back(
            {stage.bits, -1, num(groups_), decides ? pieces_[begin].decides : -1, records_});
    }

    size_t add_group(size_t begin, size_t end) {
        const auto& items = pieces_;
        Frame frame;
        Group group{num(acts_), 0, {}, {}};
        size_t k = begin;
        if (is_matrix(items[begin])) {
            const Dense& dense = program_.dense[items[begin].dense];
            for (size_t q = 0; q < dense.masks.size(); ++q) {
                frame.masks.push_back(space_.coordinates(dense.masks[q]));
                frame.rows.push_back(space_.functional(dense.rows[q]));
            }
            acts_.push_back(matrix_act(dense));
            ++k;
        }
        for (; k < end && !is_matrix(items[begin]) && !is_matrix(items[k]); ++k) {
            int axis = 0;
            if (items[k].kind != kDiagonal) {
                axis = frame.axis(space_.coordinates(items[k].mask),
                                  space_.functional(items[k].row), kSize);
                if (axis < 0) break;
            }
            acts_.push_back(act(items[k], axis));
        }
        frame.complete(kSize, static_cast<int>(space_.size()));
        group.act_end = num(acts_);
        add_patterns(group, frame);
        place(group, frame);
        groups_.push_back(group);
        return k;
    }

    Act act(const Piece& item, int axis) {
        Act made{};
        made.kind = item.kind == kDiagonal ? kDiagonalAct
                    : item.kind == kReal   ? kRealAct
                                           : kDenseAct;
        made.axis = axis;
        made.depends = depends(item);
        made.choice = -1;
        made.record = made.depends ? records_++ : -1;
        made.factor_begin = item.factor_begin;
        made.factor_end = item.factor_end;
        made.target = row(item.row, item.flip);
        made.control_begin = num(rows_);
        for (int c = item.control_begin; c < item.control_end; ++c)
            rows_.push_back(row(program_.controls[c].row, program_.controls[c].flip));
        made.control_end = num(rows_);
        return made;
    }

    Act matrix_act(const Dense& dense) {
        Act made{};
        made.kind = kMatrixAct;
        made.axis = static_cast<int>(dense.masks.size());
        made.control_begin = num(rows_);
        for (size_t q = 0; q < dense.masks.size(); ++q)
            rows_.push_back(row(dense.rows[q], static_cast<uint8_t>(dense.flips >> q & 1)));
        made.control_end = num(rows_);
        made.choice = dense.choice;
        made.record = -1;
        made.dense = static_cast<u32>(dense_.size());
        for (const qsim::Complex& entry : dense.matrix) {
            dense_.push_back(static_cast<T>(entry.real()));
            dense_.push_back(static_cast<T>(entry.imag()));
        }
        return made;
    }

    // A matrix that no group holds: a stage of its own, whose vectors are the masks.
    void add_wide(const Piece& item) {
        const Dense& dense = program_.dense[item.dense];
        if (dense.masks.size() > std::size(Stage{}.vectors))
            throw std::invalid_argument("the GPU engine takes matrices on at most 13 qubits");
        Stage stage{};
        stage.matrix = num(acts_);
        stage.bits = static_cast<int>(dense.masks.size());
        std::copy(dense.masks.begin(), dense.masks.end(), stage.vectors);
        space_ = {};
        acts_.push_back(matrix_act(dense));
        stages_.push_back(stage);
        shapes_.push_back({stage.bits, stage.matrix, num(groups_), item.decides, 0});
    }

    Row row(uint64_t row, uint8_t flip) const {
        return {row, static_cast<u32>(space_.functional(row)), 0, flip};
    }

    void add_patterns(const Group& group, const Frame& frame) {
        const auto pattern = [&](Row& row) {
            for (size_t j = 0; j < size_t{1} << kSize; ++j) {
                uint64_t local = 0;
                for (size_t k = 0; k < kSize; ++k)
                    if (j >> k & 1) local ^= frame.masks[k];
                row.pattern |= static_cast<unsigned short>(parity(row.local_row & local) << j);
            }
        };
        for (int a = group.act_begin; a < group.act_end; ++a) {
            pattern(acts_[a].target);
            for (int c = acts_[a].control_begin; c < acts_[a].control_end; ++c) pattern(rows_[c]);
        }
    }

    void place(Group& group, const Frame& frame) {
        Subspace span;
        for (size_t k = 0; k < kSize; ++k) {
            group.basis[k] = swizzle(static_cast<u32>(frame.masks[k]));
            span.include(frame.masks[k]);
        }
        std::sort(span.pivots.begin(), span.pivots.end());
        for (size_t k = 0; k < kSize; ++k) group.pivots[k] = bit_of(span.pivots[k]);
    }

    std::vector<cuda::Factor> factors() const {
        std::vector<cuda::Factor> made;
        for (const qsim::Factor& factor : program_.factors) {
            cuda::Factor plain{factor.angle.source,
                               factor.angle.index,
                               factor.angle.scale,
                               factor.angle.offset,
                               {},
                               {},
                               factor.choice,
                               0};
            for (int k = 0; k < 2; ++k) {
                plain.frequencies[k] = factor.frequencies[k];
                for (int e = 0; e < 4; ++e) {
                    plain.projectors[k][2 * e] = factor.projectors[k][e].real();
                    plain.projectors[k][2 * e + 1] = factor.projectors[k][e].imag();
                }
            }
            made.push_back(plain);
        }
        return made;
    }

    // Choices, all of their operators (re, im) and all of their chances.
    std::vector<cuda::Choice> choices(std::vector<T>& operators,
                                      std::vector<double>& chances) const {
        std::vector<cuda::Choice> made;
        for (size_t k = 0; k < program_.choices.size(); ++k) {
            const qsim::Choice& choice = program_.choices[k];
            made.push_back({choice.draw, static_cast<int>(choice.least.size()),
                            static_cast<int>(choice.entries), is_free(static_cast<int32_t>(k)),
                            static_cast<u32>(operators.size() / 2),
                            static_cast<u32>(chances.size())});
            for (const qsim::Complex& entry : choice.operators) {
                operators.push_back(static_cast<T>(entry.real()));
                operators.push_back(static_cast<T>(entry.imag()));
            }
            chances.insert(chances.end(), choice.least.begin(), choice.least.end());
            chances.insert(chances.end(), choice.weights.begin(), choice.weights.end());
        }
        return made;
    }

    int first(int wanted) const {
        int group = 0;
        for (const Group& candidate : groups_) {
            for (int a = candidate.act_begin; a < candidate.act_end; ++a)
                if (acts_[a].depends & wanted) return group;
            ++group;
        }
        return group;
    }

    template <class Entry>
    static int num(const std::vector<Entry>& entries) {
        return static_cast<int>(entries.size());
    }

    const Program& program_;
    const int bits_, tile_bits_;
    int records_ = 0;  // of the stage
    std::vector<Piece> pieces_;
    Subspace space_;  // of the stage
    std::vector<Stage> stages_;
    std::vector<StageShape> shapes_;
    std::vector<Batch> batches_;
    std::vector<Group> groups_;
    std::vector<Act> acts_;
    std::vector<Row> rows_;
    std::vector<T> dense_;
};

}  // namespace

TapeImage make_tape(const Program& program, bool single, bool back) {
    return single ? Writer<float>(program, back).image() : Writer<double>(program, back).image();
}

}  // namespace qsim::cuda
