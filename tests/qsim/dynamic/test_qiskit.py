"""Dynamic circuits in Qiskit: Aer and the OpenQASM 3 reader take them for the same."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm3
from qiskit_aer import AerSimulator
from scipy.stats import chisquare

from qsim import Circuit, UsageError, Weight, outcome_probabilities
from qsim.instructions import Instruction
from qsim.interop.openqasm import to_openqasm3
from qsim.interop.qiskit import to_qiskit

SHOTS = 4000


def assert_same_counts(converted: QuantumCircuit, circuit: Circuit) -> None:
    """Aer's counts have our exact probabilities, by a chi-square test."""
    result = AerSimulator(seed_simulator=7).run(converted, shots=SHOTS).result()
    assert result.success, result.status
    exact = outcome_probabilities(circuit, dtype=torch.complex128).tolist()
    counts = {int(bits, 2): number for bits, number in result.get_counts().items()}
    assert all(exact[value] > 1e-9 for value in counts)
    expected = [p * SHOTS for p in exact]
    often = [value for value, number in enumerate(expected) if number >= 5]
    pairs = [(counts.get(value, 0), expected[value]) for value in often]
    rest = SHOTS - sum(n for n, _ in pairs), SHOTS - sum(e for _, e in pairs)
    if rest[1] >= 5:
        pairs.append(rest)
    if len(pairs) > 1:
        found, wanted = zip(*pairs, strict=True)
        scale = sum(found) / sum(wanted)
        assert chisquare(found, [w * scale for w in wanted]).pvalue > 1e-4


@settings(max_examples=25)
@given(data=st.data())
def test_aer_draws_the_same(dynamic_circuits: Callable, data: st.DataObject) -> None:
    circuit = data.draw(dynamic_circuits(symbols=False))
    assert_same_counts(to_qiskit(circuit), circuit)
