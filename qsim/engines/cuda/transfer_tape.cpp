// Steps -> acts in groups (registers) in batches (maps held at a time) in stages (tiles).
#include "transfer_tape.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "sections.hpp"
#include "transfer_tape.cuh"

namespace qsim::cuda {

namespace {

using Step = cpu::TransferStep;

template <class T>
class Writer {
  public:
    Writer(const cpu::TransferProgram& program, int records)
        : program_(program), digits_(std::max(program.num_qubits, kGroupDigits)), most_(records) {
        const auto& steps = program.steps;
        // A matrix that no group holds finds its components in device memory.
        size_t next = add_stage(0);
        while (next < steps.size()) next = is_wide(steps[next]) ? add_wide(next) : add_stage(next);
    }

    TransferImage image() {
        TransferImage image{{}, digits_, num(maps_), num(acts_), num(groups_), shapes_};
        TransferTape tape{};
        tape.num_qubits = program_.num_qubits;
        tape.digits = digits_;
        tape.num_maps = num(maps_);
        tape.num_stages = num(stages_);
        tape.num_parameters[0] = program_.num_weights;
        tape.num_parameters[1] = program_.num_inputs;
        std::string& bytes = image.bytes;
        bytes.resize(sizeof(TransferTape));
        tape.stages = append_section(bytes, stages_);
        tape.batches = append_section(bytes, batches_);
        tape.groups = append_section(bytes, groups_);
        tape.acts = append_section(bytes, acts_);
        tape.maps = append_section(bytes, maps_);
        tape.factors = append_section(bytes, factors());
        tape.moves = append_section(bytes, moves_);
        tape.entries = append_section(bytes, entries_);
        std::vector<Use> uses;
        for (int source = 0; source < 2; ++source) {
            const auto begins = collect_uses(
                acts_, source, tape.num_parameters[source],
                [&](int f) -> const Angle& { return program_.factors[f].angle; }, uses);
            tape.use_begins[source] = append_section(bytes, begins);
        }
        tape.uses = append_section(bytes, uses);
        std::memcpy(bytes.data(), &tape, sizeof(TransferTape));
        return image;
    }

  private:
    using Qubits = std::vector<int32_t>;

    // Qubits of a tile or group with those of a step; false if they are more than `most`.
    static bool join(Qubits& joined, const Step& step, size_t most) {
        Qubits larger = joined;
        for (const int32_t qubit : step.qubits)
            if (std::find(larger.begin(), larger.end(), qubit) == larger.end())
                larger.push_back(qubit);
        if (larger.size() > most) return false;
        joined = std::move(larger);
        return true;
    }

    static bool is_wide(const Step& step) { return step.qubits.size() > kGroupDigits; }

    int depends(const Step& step) const {
        int found = 0;
        for (int f = step.factor_begin; f < step.factor_end; ++f)
            if (program_.factors[f].angle.source != kConstant)
                found |= 1 << program_.factors[f].angle.source;
        return found;
    }

    size_t add_stage(size_t begin) {
        const auto& steps = program_.steps;
        const auto size = static_cast<size_t>(std::min(digits_, kTileDigits<T>));
        Qubits qubits;
        if (digits_ > kTileDigits<T>)
            for (int q = 0; q < kRunDigits; ++q) qubits.push_back(q);
        int records = 0;
        size_t end = begin;
        for (; end < steps.size() && !is_wide(steps[end]); ++end) {
            const bool recorded = depends(steps[end]) != 0;
            if (records + recorded > most_ || !join(qubits, steps[end], size)) break;
            records += recorded;
        }
        for (int32_t q = 0; qubits.size() < size; ++q)
            if (std::find(qubits.begin(), qubits.end(), q) == qubits.end()) qubits.push_back(q);
        std::sort(qubits.begin(), qubits.end());
        TransferStage stage{num(batches_), 0, static_cast<int>(size), -1, {}};
        std::copy(qubits.begin(), qubits.end(), stage.qubits);
        tile_ = std::move(qubits);
        records_ = 0;
        for (size_t k = begin; k < end;) k = add_batch(k, end);
        stage.batch_end = num(batches_);
        close(stage);
        return end;
    }

    size_t add_batch(size_t begin, size_t end) {
        TransferBatch batch{num(groups_), 0, num(maps_), 0};
        size_t k = begin;
        while (k < end && num(maps_) - batch.map_begin < kBatchMaps)
            k = add_group(k, end, batch.map_begin + kBatchMaps);
        batch.group_end = num(groups_);
        batch.map_end = num(maps_);
        batches_.push_back(batch);
        return k;
    }

    size_t add_group(size_t begin, size_t end, int most_maps) {
        const auto& steps = program_.steps;
        Qubits qubits;
        size_t k = begin;
        for (int maps = num(maps_); k < end; ++k) {
            const bool map = steps[k].kind == cpu::kOneQubit;
            if (maps + map > most_maps || !join(qubits, steps[k], kGroupDigits)) break;
            maps += map;
        }
        for (size_t p = tile_.size(); qubits.size() < kGroupDigits;)  // high: threads side by side
            if (tile_[--p] != qubits.front()) qubits.push_back(tile_[p]);
        std::sort(qubits.begin(), qubits.end());
        TransferGroup group{num(acts_), 0, {}};
        for (size_t s = begin; s < k; ++s) acts_.push_back(act(steps[s], qubits));
        group.act_end = num(acts_);
        for (int d = 0; d < kGroupDigits; ++d) {
            const auto place = std::find(tile_.begin(), tile_.end(), qubits[d]) - tile_.begin();
            group.bits[2 * d] = static_cast<int>(2 * place);
            group.bits[2 * d + 1] = static_cast<int>(2 * place + 1);
        }
        groups_.push_back(group);
        return k;
    }

    TransferAct act(const Step& step, const Qubits& group) {
        TransferAct made{};
        made.record = -1;
        made.factor_begin = step.factor_begin;
        made.factor_end = step.factor_end;
        if (step.kind == cpu::kOneQubit) {
            made.kind = kMapAct;
            made.digit = step.qubits[0] == group[1];
            made.depends = depends(step);
            made.map = num(maps_);
            maps_.push_back(num(acts_));
            if (made.depends) made.record = records_++;
            read_ |= made.depends;
            return made;
        }
        const bool turned = step.qubits[0] != group[0];
        if (step.kind == cpu::kMove) {
            made.kind = kMoveAct;
            made.entries = static_cast<u32>(moves_.size());
            moves_.push_back(move(step.move, turned));
        } else {
            made.kind = kSquareAct;
            made.entries = static_cast<u32>(entries_.size());
            for (int k = 0; k < kGroupComponents * kGroupComponents; ++k)
                entries_.push_back(static_cast<T>(
                    step.matrix[16 * exchanged(k / 16, turned) + exchanged(k % 16, turned)]));
        }
        return made;
    }

    // A component's number with its two digits in the other order, if `turned`.
    static int exchanged(int k, bool turned) { return turned ? k >> 2 | (k & 3) << 2 : k; }

    // Rows of zeros get what is left of the sources.
    static TransferMove<T> move(const cpu::WeightedMove& from, bool turned) {
        TransferMove<T> made{};
        u32 taken = 0;
        for (int k = 0; k < kGroupComponents; ++k)
            if (from.weight[k] != 0) taken |= 1u << from.source[k];
        for (int k = 0; k < kGroupComponents; ++k) {
            int source = from.source[k];
            if (from.weight[k] == 0) {
                source = std::countr_one(taken);
                taken |= 1u << source;
            }
            made.source[exchanged(k, turned)] = exchanged(source, turned);
            made.weight[exchanged(k, turned)] = static_cast<T>(from.weight[k]);
        }
        return made;
    }

    // A matrix that no group holds: a stage of its own.
    size_t add_wide(size_t at) {
        const Step& step = program_.steps[at];
        TransferStage stage{0, 0, num(step.qubits), num(acts_), {}};
        std::copy(step.qubits.begin(), step.qubits.end(), stage.qubits);
        TransferAct made{};
        made.kind = kSquareAct;
        made.record = -1;
        made.entries = static_cast<u32>(entries_.size());
        acts_.push_back(made);
        for (const double entry : step.matrix) entries_.push_back(static_cast<T>(entry));
        records_ = 0;
        close(stage);
        return at + 1;
    }

    void close(const TransferStage& stage) {
        stages_.push_back(stage);
        shapes_.push_back({stage.digits, stage.matrix, read_, records_});
    }

    std::vector<TransferFactor> factors() const {
        std::vector<TransferFactor> made;
        for (const cpu::TransferFactor& factor : program_.factors) {
            TransferFactor plain{factor.angle.source,
                                 factor.angle.index,
                                 factor.angle.scale,
                                 factor.angle.offset,
                                 {},
                                 {},
                                 {}};
            std::copy(factor.constant.begin(), factor.constant.end(), plain.constant);
            std::copy(factor.cosine.begin(), factor.cosine.end(), plain.cosine);
            std::copy(factor.sine.begin(), factor.sine.end(), plain.sine);
            made.push_back(plain);
        }
        return made;
    }

    template <class Entry>
    static int num(const std::vector<Entry>& entries) {
        return static_cast<int>(entries.size());
    }

    const cpu::TransferProgram& program_;
    const int digits_, most_;
    Qubits tile_;  // of the stage
    int records_ = 0, read_ = 0;
    std::vector<TransferStage> stages_;
    std::vector<TransferShape> shapes_;
    std::vector<TransferBatch> batches_;
    std::vector<TransferGroup> groups_;
    std::vector<TransferAct> acts_;
    std::vector<int> maps_;  // their acts
    std::vector<TransferMove<T>> moves_;
    std::vector<T> entries_;
};

}  // namespace

TransferImage make_transfer_tape(const cpu::TransferProgram& program, bool single, int records) {
    return single ? Writer<float>(program, records).image()
                  : Writer<double>(program, records).image();
}

}  // namespace qsim::cuda
