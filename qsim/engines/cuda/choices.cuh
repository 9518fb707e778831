// What trajectories choose.
#pragma once

#include "matrices.cuh"

namespace qsim::cuda {

constexpr double kRounding = 1e-9;  // probabilities below are none

inline u64 mixed(u64 z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

// A uniform number from [0, 1), a function of what it is for, as in trajectories.cpp.
inline double uniform(const TrajectoryArguments& args, int sample, int draw) {
    constexpr u64 kStep = 0x9e3779b97f4a7c15;
    const long long row = args.first + sample;
    const u64 seed = static_cast<u64>(args.seeds[row / args.trajectories % args.num_seeds]);
    const u64 own = mixed(seed + kStep * static_cast<u64>(row % args.trajectories + 1));
    return static_cast<double>(mixed(own + kStep * static_cast<u64>(draw + 1)) >> 11) * 0x1p-53;
}

// The operator that a number below the sum of the least chances chooses whatever the state is;
// `count` if the state does, and then what is left of the number.
inline int chosen_by_number(const Tape& tape, const Choice& choice, double& number) {
    const double* least = tape.section<double>(tape.chances) + choice.chances;
    int k = 0;
    while (k < choice.count && number >= least[k]) number -= least[k++];
    return k == choice.count && choice.free ? choice.count - 1 : k;
}

// The operator that is left to the state: square_of(k) is |psi|^2 for k = 0 and |K psi|^2 of
// operator k - 1 beyond.
template <class SquareOf>
inline Decision decide(const Tape& tape, const Choice& choice, double number, SquareOf square_of) {
    Decision made{1, chosen_by_number(tape, choice, number), 0};
    if (made.chosen < choice.count) return made;
    const double* least = tape.section<double>(tape.chances) + choice.chances;
    const double* weights = least + choice.count;
    const double norm = square_of(0);
    for (int k = 0; k < choice.count; ++k) {
        const double square = square_of(1 + k);
        const double more = weights[k] * square / norm - least[k];
        if (more <= kRounding) continue;
        made.chosen = k;
        made.scale = 1 / sqrt(square);
        if (number < more) break;
        number -= more;
    }
    return made;
}

inline const Complex* operator_of(const Tape& tape, const Choice& choice, int number) {
    return reinterpret_cast<const Complex*>(tape.section<Real>(tape.operators)) + choice.operators +
           number * choice.entries;
}

// The operator that a trajectory took, and what it is multiplied by.
inline const Complex* taken(const TrajectoryArguments& args, int number, int sample, Real* scale) {
    const Tape& tape = *args.tape;
    const Choice& choice = tape.section<Choice>(tape.choices)[number];
    *scale = 1;
    if (choice.free) {
        double drawn = uniform(args, sample, choice.draw);
        return operator_of(tape, choice, chosen_by_number(tape, choice, drawn));
    }
    const Decision made = args.decisions[u64(sample) * tape.num_choices + number];
    *scale = static_cast<Real>(made.scale);
    return operator_of(tape, choice, made.chosen);
}

// A factor's matrix, or the operator that stands in for it.
inline Matrix trajectory_factor(const TrajectoryArguments& args, const Factor& factor, int sample) {
    if (factor.choice < 0) return factor_matrix(args, factor, sample);
    Real scale;
    const Complex* entries = taken(args, factor.choice, sample, &scale);
    Matrix made;
    for (int e = 0; e < 4; ++e) made.m[e] = scale * entries[e];
    return made;
}

// Product of the factors from `begin` on, the first one rightmost.
inline Matrix trajectory_matrix(const TrajectoryArguments& args, const Factor* factors, int begin,
                                int end, int sample) {
    Matrix made = identity();
    for (int f = begin; f < end; ++f) made = trajectory_factor(args, factors[f], sample) * made;
    return made;
}

}  // namespace qsim::cuda
