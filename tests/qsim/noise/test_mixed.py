"""Variances, purities, entropies and fidelities of density matrices, by formulas on matrices."""

from typing import Any

import numpy as np
import pytest
import torch
from qiskit.quantum_info import DensityMatrix, SparsePauliOp, entropy, partial_trace
from torch.autograd import gradcheck

import qsim
from qsim import Circuit, Input, NoiseModel, PauliString, PauliSum, UsageError, Weight, channels

NOISE = NoiseModel().add("cx", channels.depolarizing(0.1, 2)).add("h", channels.phase_flip(0.2))
CIRCUIT = Circuit(3).ry(Weight(0), 0).h(1).cx(0, 2).rx(Input(0), 2).cx(1, 2)
CIRCUIT.append(channels.amplitude_damping(0.3), 2)
MEASURED = CIRCUIT.copy().measure(0).if_test((0, 1), Circuit(1).ry(Weight(0), 0), qubits=[1])
OBSERVABLES = [PauliString("ZYI"), PauliSum({"ZZI": 0.5, "IYY": -1.2, "XIY": 0.7})]
WEIGHTS = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
INPUTS = torch.tensor([[0.4], [-1.1]], dtype=torch.float64)


@pytest.fixture(params=[CIRCUIT, MEASURED], ids=["channels", "measured"])
def circuit(request: pytest.FixtureRequest) -> Circuit:
    return request.param


def ask(function: Any, circuit: Circuit, *arguments: Any, **options: Any) -> Any:
    return function(circuit, *arguments, weights=WEIGHTS, inputs=INPUTS, noise=NOISE, **options)


def matrices(circuit: Circuit) -> list[np.ndarray]:
    return list(ask(qsim.density_matrix, circuit).detach().numpy())


def operators() -> list[np.ndarray]:
    sums = [{"ZYI": 1.0}, {"ZZI": 0.5, "IYY": -1.2, "XIY": 0.7}]
    return [SparsePauliOp.from_list(list(terms.items())).to_matrix() for terms in sums]


def test_variances_and_covariances(circuit: Circuit) -> None:
    expected = [
        [
            [
                np.trace(rho @ (a @ b + b @ a)).real / 2
                - (np.trace(rho @ a) * np.trace(rho @ b)).real
                for b in operators()
            ]
            for a in operators()
        ]
        for rho in matrices(circuit)
    ]
    found = ask(qsim.covariance, circuit, OBSERVABLES)
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)
    spread = ask(qsim.variance, circuit, OBSERVABLES)
    torch.testing.assert_close(spread, found.diagonal(dim1=1, dim2=2), atol=1e-12, rtol=0)
    assert ask(qsim.variance, circuit, []).shape == (2, 0)
    assert ask(qsim.covariance, circuit, []).shape == (2, 0, 0)


def test_parts_are_qiskits(circuit: Circuit) -> None:
    for qubits in ([0], [2, 1], [0, 1, 2]):
        others = [q for q in range(3) if q not in qubits]
        parts = [partial_trace(DensityMatrix(rho), others) for rho in matrices(circuit)]
        if qubits == [2, 1]:
            parts = [part.reverse_qargs() for part in parts]
        found = ask(qsim.reduced_density_matrix, circuit, qubits)
        np.testing.assert_allclose(found.detach(), [part.data for part in parts], atol=1e-12)
        purity = ask(qsim.purity, circuit, qubits)
        np.testing.assert_allclose(purity.detach(), [p.purity().real for p in parts], atol=1e-12)
        mixed = ask(qsim.entropy, circuit, qubits)
        np.testing.assert_allclose(mixed.detach(), [entropy(p) for p in parts], atol=1e-9)


def test_fidelity_with_pure_states(circuit: Circuit) -> None:
    target = qsim.run(Circuit(3).h(0).t(0).cx(0, 2), dtype=torch.complex128)
    psi = target.amplitudes.numpy()
    expected = [(psi.conj() @ rho @ psi).real for rho in matrices(circuit)]
    found = ask(qsim.fidelity, circuit, target)
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)
    each = torch.stack([target.amplitudes, target.amplitudes.roll(3)])
    assert ask(qsim.fidelity, circuit, each)[0].item() == pytest.approx(expected[0])
    with pytest.raises(UsageError, match="have no fidelity: they need as many qubits"):
        ask(qsim.fidelity, circuit, torch.tensor([1.0, 0j]))


def test_they_are_differentiable(circuit: Circuit) -> None:
    def results(weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = {"weights": weights, "inputs": INPUTS, "noise": NOISE}
        target = torch.full((8,), 8**-0.5, dtype=torch.complex128)
        return (
            qsim.covariance(circuit, OBSERVABLES, **given),
            qsim.purity(circuit, [0, 2], **given),
            qsim.fidelity(circuit, target, **given),
        )

    assert gradcheck(results, [WEIGHTS])


def test_without_a_batch_there_is_none() -> None:
    noisy = Circuit(1).h(0).append(channels.phase_flip(0.5), 0)
    assert qsim.variance(noisy, [PauliString("X")]).tolist() == [pytest.approx(1)]
    assert qsim.purity(noisy, [0]).item() == pytest.approx(0.5)
    assert qsim.fidelity(noisy, torch.tensor([1.0, 0j])).item() == pytest.approx(0.5)


def test_readout_errors_are_no_part_of_a_state() -> None:
    noise = NoiseModel().add_readout(0, 0.1, 0.2)
    for function in (qsim.variance, qsim.covariance):
        with pytest.raises(UsageError, match=r"misreads it: pass dataclasses.replace\(noise, read"):
            function(Circuit(1).h(0), noise=noise)
    assert qsim.purity(Circuit(1).h(0), [0], noise=noise).item() == pytest.approx(1)
