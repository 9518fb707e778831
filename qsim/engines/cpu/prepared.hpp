// A call made ready for the kernels: its schedule, and the numbers that the batch shares.
#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "engine.hpp"
#include "parallel.hpp"

namespace qsim::cpu {

inline void multiply_into(Complex* product, const Complex* left) {
    // The operator * of finite numbers; the one of std::complex looks for others.
    const auto times = [](const Complex& a, const Complex& b) {
        return Complex(a.real() * b.real() - a.imag() * b.imag(),
                       a.real() * b.imag() + a.imag() * b.real());
    };
    for (int column = 0; column < 2; ++column) {
        Complex &above = product[column], &below = product[2 + column];
        const Complex first = above, second = below;
        above = times(left[0], first) + times(left[1], second);
        below = times(left[2], first) + times(left[3], second);
    }
}

// A factor's matrix, from the first row of its source.
template <class T>
void evaluate(const Call<T>& call, const Factor& factor, Complex* out) {
    const Angle& angle = factor.angle;
    double theta = 0;
    if (angle.source != kConstant)
        theta = angle.scale * call.data[angle.source][angle.index] + angle.offset;
    for (int e = 0; e < 4; ++e) out[e] = 0;
    Complex phase = 1;
    for (int k = 0; k < (angle.source == kConstant ? 1 : 2); ++k) {
        const bool mirrored = k == 1 && factor.frequencies[1] == -factor.frequencies[0];
        phase = mirrored ? std::conj(phase) : std::polar(1.0, factor.frequencies[k] * theta);
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

template <class T>
class Prepared {
  public:
    Prepared(const Call<T>& from, const Measurement& measurement)
        : call(from),
          measurement(measurement),
          kernels(kernels_for<T>()),
          limits(current_limits()),
          lane_bits(lane_bits_for<T>(call.program.num_qubits, call.batch)),
          schedule(call.program.schedule(request())),
          batched(call.program.items.size()),
          tail(batched.size()),
          factors(4 * call.program.factors.size()),
          shared(8 * batched.size()),
          divided(batched.size()),
          undone(batched.size(), T(1)),
          cosines(batched.size(), 1.0),
          layer_cosines(schedule.layers.size(), 1.0),
          layer_undone(schedule.layers.size()),
          angles(4 * batched.size()) {
        const Program& program = call.program;
        for (size_t k = 0; k < batched.size(); ++k) {
            const Item& item = program.items[k];
            for (int s = 0; s < 2; ++s) batched[k] |= (item.depends >> s & 1) && call.batched[s];
            tail[k] = item.factor_begin;
            for (int f = item.factor_begin; batched[k] && f < item.factor_end; ++f) {
                const int32_t source = program.factors[f].angle.source;
                if (source != kConstant && call.batched[source]) tail[k] = f + 1;
            }
        }
        Angles<T> sources{{call.data[0], call.data[1]}, {}, call.batch};
        for (int s = 0; s < 2; ++s) sources.stride[s] = call.batched[s] ? call.size[s] : 0;
        int most_targets = 0;
        for (const Dense& dense : program.dense)
            most_targets = std::max(most_targets, static_cast<int>(dense.masks.size()));
        view = {program.num_qubits,
                lane_bits,
                static_cast<int>(batched.size()),
                program.items.data(),
                program.controls.data(),
                program.factors.data(),
                program.dense.data(),
                schedule.sweeps.data(),
                schedule.operations.data(),
                schedule.segments.data(),
                schedule.layers.data(),
                schedule.terms.data(),
                schedule.indices.data(),
                schedule.masks.data(),
                schedule.offsets.data(),
                schedule.vectors.data(),
                schedule.product.empty() ? nullptr : schedule.product.data(),
                sources,
                batched.data(),
                tail.data(),
                shared.data(),
                divided.data(),
                undone.data(),
                nullptr,
                measurement.groups.data(),
                static_cast<int64_t>(measurement.groups.size()),
                measurement.paulis.data(),
                most_targets};
        each_item([&](int64_t k) { shared_matrix(static_cast<size_t>(k)); });
        divide_dense();
        phases.resize(schedule.layers.size() * static_cast<size_t>(view.phase_table()));
        view.phases = phases.data();
        const auto layers = static_cast<int64_t>(schedule.layers.size());
        parallel_for(threads(), layers,
                     [&](int64_t layer, int) { layer_phases(static_cast<size_t>(layer)); });
        weigh_sums();
    }

    // Whether the items of the product need a gradient.
    bool product_needed(int wanted) const {
        return std::any_of(schedule.product.begin(), schedule.product.end(), [&](int32_t k) {
            return k >= 0 && (call.program.items[k].depends & wanted);
        });
    }

    // Operations before this one need no gradient.
    int first_needed(int wanted) const {
        const auto needed = [&](int32_t item) { return call.program.items[item].depends & wanted; };
        int k = 0;
        if (product_needed(wanted)) return k;
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
                       (operation.pass == kQuads && needed(operation.second));
            }
            if (here) break;
            ++k;
        }
        return k;
    }

    // work(item) for all items, by as many threads as the run has.
    template <class Work>
    void each_item(Work work) const {
        constexpr int64_t kPart = 16;
        const auto items = static_cast<int64_t>(batched.size());
        parallel_for(threads(), (items + kPart - 1) / kPart, [&](int64_t part, int) {
            for (int64_t k = kPart * part; k < std::min(items, kPart * (part + 1)); ++k) work(k);
        });
    }

    int64_t num_blocks() const { return (call.batch + view.samples() - 1) / view.samples(); }
    int64_t block_size() const { return 2 * kLanes<T> * view.num_vectors(); }

    int64_t buffer_size() const { return int64_t{2} * kLanes<T> << schedule.most_stage_bits; }

    // Large states are worked on by all threads together, small ones by one thread each.
    bool staged() const { return view.num_qubits - lane_bits > limits.stage_bits; }
    int threads_over_blocks() const { return staged() ? 1 : worth(num_blocks()); }
    int threads_in_block() const { return staged() ? worth(1) : 1; }
    int threads() const { return std::max(threads_over_blocks(), threads_in_block()); }

    const Call<T> call;
    const Measurement& measurement;
    const Kernels<T>& kernels;
    const Limits limits;
    const int lane_bits;
    const Schedule& schedule;
    std::vector<uint8_t> batched;
    std::vector<int32_t> tail;
    std::vector<Complex> factors;  // [factors][4]: matrices of those that the batch shares
    std::vector<T> shared;
    std::vector<uint8_t> divided;
    std::vector<T> undone;
    std::vector<double> cosines;        // [items]: what they were divided by
    std::vector<double> layer_cosines;  // [layers]: what they multiply by
    std::vector<double> layer_undone;   // [layers]: see View::undone
    std::vector<double> angles;  // [items][4]: a rotation's phases before (0, 1) and after; a
                                 // diagonal's in the last two
    std::vector<T> phases;
    View<T> view;

  private:
    static constexpr double kMostTangent = 8;

    ScheduleRequest request() const {
        const auto sources =
            static_cast<uint8_t>(call.batched[kWeight] << kWeight | call.batched[kInput] << kInput);
        const int n = call.program.num_qubits;
        const bool layers = n <= limits.layer_qubits && n - lane_bits <= limits.stage_bits;
        const int row_bits = n - lane_bits > limits.cached_bits ? 2 : 0;
        return {lane_bits,     limits.tile_bits, limits.stage_bits, row_bits, layers,
                !call.initial, sources};
    }

    // As many threads as are worth it: handing work over costs a few us, and waking them more.
    int worth(int64_t blocks) const {
        const int64_t effort = block_size() * static_cast<int64_t>(batched.size() + 1) * blocks;
        const auto most = std::max<int64_t>(1, effort / 400000);
        return static_cast<int>(std::min<int64_t>(call.threads, most));
    }

    void shared_matrix(size_t k) {
        const Item& item = call.program.items[k];
        Complex product[4] = {1, 0, 0, 1};
        for (int f = tail[k]; f < item.factor_end; ++f) {
            evaluate(call, call.program.factors[f], &factors[4 * f]);
            multiply_into(product, &factors[4 * f]);
        }
        if (schedule.rotation[k]) {
            const Euler euler(product);
            for (int q = 0; q < 2; ++q) {
                angles[4 * k + q] = std::arg(euler.before[q]);
                angles[4 * k + 2 + q] = std::arg(euler.after[q]);
            }
            for (int e = 0; e < 4; ++e) product[e] = euler.rotation[e];
            divide_by_cosine(k, product);
        } else if (item.kind == kDiagonal) {
            for (int q = 0; q < 2; ++q) angles[4 * k + 2 + q] = std::arg(product[3 * q]);
        }
        for (int e = 0; e < 4; ++e) {
            shared[8 * k + 2 * e] = static_cast<T>(product[e].real());
            shared[8 * k + 2 * e + 1] = static_cast<T>(product[e].imag());
        }
    }

    // [[1, -t], [t, 1]] takes half the arithmetic of [[c, -s], [s, c]]. The layer of the phases
    // before the rotations of a group multiplies by all their cosines, on the way there and on the
    // way back. In between, states are too short or too long: by no more than floats take.
    void divide_by_cosine(size_t k, Complex* rotation) {
        const double cosine = rotation[0].real();
        if (rotation[2].real() > kMostTangent * cosine) return;
        for (int e = 0; e < 4; ++e) rotation[e] /= cosine;
        cosines[k] = cosine;
        divided[k] = 1;
    }

    // A dense U is k diag(p, p*) [[1, t], [-t*, 1]] with |p| = 1, and takes three quarters of the
    // arithmetic without its k. One item in a row of them keeps its form and takes all the k.
    void divide_dense() {
        constexpr double kLeast = 1e-10;  // sums have this to the power of -2
        std::vector<int32_t> row;
        Complex product = 1;
        const auto close = [&] {
            if (row.size() > 1) scale(row[0], product);
            for (size_t i = 1; i < row.size(); ++i) divided[row[i]] = 1;
            row.clear();
            product = 1;
        };
        each_item_of_operations([&](const Operation& operation, int32_t k) {
            if (operation.kind != kDense || batched[k] || call.program.items[k].num_controls())
                return;
            const Complex factor = dense_factor(k);
            if (factor == 0.0) return;
            if (!row.empty()) scale(k, 1.0 / factor), product *= factor;
            row.push_back(k);
            if (std::abs(product) < kLeast) close();
        });
        close();
    }

    // k of an item, or 0 where |t| is large.
    Complex dense_factor(int32_t item) const {
        const T* u = shared.data() + 8 * item;
        const Complex a(u[0], u[1]), d(u[6], u[7]);
        if (std::norm(Complex(u[2], u[3])) > kMostTangent * kMostTangent * std::norm(a)) return 0;
        // Half the phase of the determinant, of which a d has the phase.
        return std::abs(a) * std::sqrt(a * d / std::abs(a * d));
    }

    void scale(int32_t item, Complex factor) {
        cosines[item] /= std::abs(factor);
        for (T* u = shared.data() + 8 * item; u != shared.data() + 8 * item + 8; u += 2) {
            const Complex scaled = Complex(u[0], u[1]) * factor;
            u[0] = static_cast<T>(scaled.real()), u[1] = static_cast<T>(scaled.imag());
        }
    }

    template <class Visit>
    void each_item_of_operations(Visit visit) const {
        for (const Operation& operation : schedule.operations) {
            if (operation.pass == kPhases) continue;
            visit(operation, operation.first);
            if (operation.pass == kQuads) visit(operation, operation.second);
        }
    }

    // Where an item is undone, psi and lambda are too long by the cosines of those that were undone
    // before.
    void weigh_sums() {
        double weight = 1;
        for (size_t o = schedule.operations.size(); o-- > 0;) {
            const Operation& operation = schedule.operations[o];
            if (operation.pass == kPhases) {
                weight /= layer_cosines[operation.first] * layer_cosines[operation.first];
                layer_undone[operation.first] = weight;
                continue;
            }
            const int count = operation.pass == kQuads ? 2 : 1;
            const int32_t items[2] = {operation.first, operation.second};
            for (int i = 0; i < count; ++i) undone[items[i]] = static_cast<T>(weight);
            for (int i = 0; i < count; ++i) weight *= cosines[items[i]] * cosines[items[i]];
        }
    }

    // The angle at an address is mean + difference (-1)^(r.p ^ flip) of every term where its
    // controls are 1: a sum of characters, of which the coefficients are collected here.
    void layer_phases(size_t l) {
        std::vector<double> coefficients(size_t{1} << call.program.num_qubits);
        const Layer& layer = schedule.layers[l];
        double& scale = layer_cosines[l];
        for (int t = layer.term_begin; t < layer.term_end; ++t) {
            const Item& item = call.program.items[schedule.terms[t].item];
            if (schedule.terms[t].part == kBefore) scale *= cosines[schedule.terms[t].item];
            const double* both = angles.data() + 4 * schedule.terms[t].item +
                                 (schedule.terms[t].part == kBefore ? 0 : 2);
            const double mean = (both[0] + both[1]) / 2,
                         difference = (both[0] - both[1]) / 2 * (item.flip ? -1 : 1);
            each_character(item, view.controls, [&](double weight, uint64_t rows) {
                coefficients[rows] += weight * mean;
                coefficients[rows ^ item.row] += weight * difference;
            });
        }
        kernels.phases(view, coefficients.data(), scale,
                       phases.data() + l * static_cast<size_t>(view.phase_table()));
    }
};

}  // namespace qsim::cpu
