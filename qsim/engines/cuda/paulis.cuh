// Pauli strings on the final state.
#pragma once

#include "platform.cuh"

namespace qsim::cuda {

// i^number z.
inline Complex turn(int number, Complex z) {
    switch (number & 3) {
        case 0:
            return z;
        case 1:
            return {-z.im, z.re};
        case 2:
            return {-z.re, -z.im};
        default:
            return {z.im, -z.re};
    }
}

inline Real sign(const Pauli& pauli, u64 address) {
    return parity(pauli.z & address) ^ static_cast<u32>(pauli.sign) ? Real(-1) : Real(1);
}

// <psi|P|psi> over addresses begin to end, one lane of a warp after another; at(p) is psi[p].
template <class At>
inline double string_sum(const Pauli& pauli, u64 begin, u64 end, At at) {
    double total = 0;
    for (u64 p = begin + threadIdx.x % kWarp; p < end; p += kWarp)
        total += sign(pauli, p) * turn(pauli.num_y, product(at(p ^ pauli.x), at(p))).re;
    return warp_sum(total);
}

// (sum_P weights[column of P] P psi)[address]; strings that flip the same qubits stand together.
template <class At>
inline Complex weighted_sum(const Pauli* paulis, int count, const Real* weights, u64 address,
                            At at) {
    Complex total{0, 0}, amplitude{0, 0};
    for (int k = 0; k < count; ++k) {
        const Pauli pauli = paulis[k];
        if (k == 0 || pauli.x != paulis[k - 1].x) amplitude = at(address ^ pauli.x);
        const Real weight = weights[pauli.column] * sign(pauli, address ^ pauli.x);
        total = total + weight * turn(pauli.num_y, amplitude);
    }
    return total;
}

// Where basis state x ends.
inline u64 address_of(const Tape& tape, u64 x) {
    u64 address = tape.offset;
    for (int q = 0; q < tape.num_qubits; ++q)
        if (x >> q & 1) address ^= tape.columns[q];
    return address;
}

}  // namespace qsim::cuda
