// 2x2 matrices of acts, and derivatives of their angles.
#pragma once

#include "platform.cuh"

namespace qsim::cuda {

struct Matrix {
    Complex m[4];  // by rows
};

inline Matrix operator*(const Matrix& a, const Matrix& b) {
    return {{a.m[0] * b.m[0] + a.m[1] * b.m[2], a.m[0] * b.m[1] + a.m[1] * b.m[3],
             a.m[2] * b.m[0] + a.m[3] * b.m[2], a.m[2] * b.m[1] + a.m[3] * b.m[3]}};
}

inline Matrix adjoint(const Matrix& a) {
    return {{conj(a.m[0]), conj(a.m[2]), conj(a.m[1]), conj(a.m[3])}};
}

inline Matrix identity() { return {{{1, 0}, {0, 0}, {0, 0}, {1, 0}}}; }

inline Complex entry(const double* matrix, int number) {
    return {static_cast<Real>(matrix[2 * number]), static_cast<Real>(matrix[2 * number + 1])};
}

// Of one sample: sources[source][index] of the arguments.
inline Matrix factor_matrix(const Arguments& args, const Factor& factor, int sample) {
    const bool fixed = factor.source < 0;
    Complex phases[2] = {{1, 0}, {0, 0}};
    if (!fixed) {
        const Real* row = static_cast<const Real*>(args.sources[factor.source]) +
                          args.strides[factor.source] * sample;
        const double angle = factor.scale * static_cast<double>(row[factor.index]) + factor.offset;
        phases[0] = unit(factor.frequencies[0] * angle);
        phases[1] = factor.frequencies[1] == -factor.frequencies[0]
                        ? conj(phases[0])
                        : unit(factor.frequencies[1] * angle);
    }
    Matrix made;
    for (int e = 0; e < 4; ++e) {
        made.m[e] = {0, 0};
        for (int k = 0; k < 2; ++k)
            made.m[e] = made.m[e] + entry(factor.projectors[k], e) * phases[k];
    }
    return made;
}

// Product of the factors from `begin` on, the first one rightmost.
inline Matrix act_matrix(const Arguments& args, const Factor* factors, int begin, int end,
                         int sample) {
    Matrix made = identity();
    for (int f = begin; f < end; ++f) made = factor_matrix(args, factors[f], sample) * made;
    return made;
}

// K of exp(i K angle).
inline Matrix generator_of(const Factor& factor) {
    Matrix generator;
    for (int e = 0; e < 4; ++e) {
        generator.m[e] = {0, 0};
        for (int k = 0; k < 2; ++k)
            generator.m[e] = generator.m[e] + static_cast<Real>(factor.frequencies[k]) *
                                                  entry(factor.projectors[k], e);
    }
    return generator;
}

// What a change of the factor's angle does to 2 Re<lambda|psi>, from the sums Im<lambda|P|psi> of
// P = I, X, Y, Z after the act: -2 sum_P h_P Im<lambda|P|psi>, where h = L K L+ with L the product
// of the factors that follow and K the generator.
inline Real derivative(const Factor& factor, const Matrix& after, const Real* sums) {
    const Matrix h = after * generator_of(factor) * adjoint(after);
    const Real trace = h.m[0].re + h.m[3].re, difference = h.m[0].re - h.m[3].re;
    return static_cast<Real>(-factor.scale) *
           (trace * sums[0] + 2 * (h.m[2].re * sums[1] + h.m[2].im * sums[2]) +
            difference * sums[3]);
}

}  // namespace qsim::cuda
