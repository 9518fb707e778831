"""Estimators and evaluator: compared with formulas, and with Aer's simulation of the device."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from torch.nn.functional import cross_entropy

from compile import Device, compile, noisy
from qml.data.tasks import Split
from qml.nas.estimators import (
    ESTIMATORS,
    READING_ERROR,
    ExactNoise,
    Predictor,
    Shots,
    SuccessProbability,
    SurvivingSignal,
    cost,
    default_estimator,
    find_estimator,
    surviving_signals,
)
from qml.nas.evaluation import Evaluator, Inherited, Tuned
from qml.nas.genes import Gene
from qml.nas.objectives import Classification, Energy
from qml.nas.search import placed_by_qiskit
from qml.nas.spaces import U3CU3, DesignSpace, find_space
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qml.nn.encoders import rotation_encoder
from qml.nn.layers import Layer
from qml.nn.model import Classifier
from qml.training.loop import TrainConfig
from qsim import Circuit, PauliSum, expval
from qsim.errors import UsageError

SUPER = SuperCircuit(replace(U3CU3, blocks=3), 4, rotation_encoder(Circuit(4), range(16)))
QUITO = Device.from_name("quito")
LAYOUT, BAD_LAYOUT = (0, 1, 3, 4), (2, 4, 0, 3)
SMALL = Gene(LAYOUT, SubConfig((4, 3, 2, 1, 1, 1), 2))
SAMPLES = Split(3 * torch.rand(24, 16, generator=torch.manual_seed(1)), torch.arange(24) % 4)
MODEL = Classifier(SUPER.full(), 4, generator=torch.Generator().manual_seed(0))
INHERITED = Inherited(SUPER, MODEL.weights)
CLASSES = Classification(MODEL, SAMPLES)
# The molecule H2 at 0.735 angstrom on two qubits (parity mapping), in Hartree.
H2 = PauliSum(
    ["II", "IZ", "ZI", "ZZ", "XX"], [-1.0523732, 0.3979374, -0.3979374, -0.0112801, 0.1809312]
)
ANSATZ = SuperCircuit(replace(find_space("zz_ry"), blocks=2), 2)


def evaluator(estimator, circuits=INHERITED, objective=CLASSES, device=QUITO, seed=5) -> Evaluator:
    return Evaluator(circuits, objective, device, estimator, seed=seed)


def vqe(estimator, seed=5) -> Evaluator:
    weights = torch.rand(ANSATZ.num_weights, generator=torch.Generator().manual_seed(2))
    return evaluator(estimator, Inherited(ANSATZ, weights), Energy(H2), seed=seed)


def test_exact_noise_is_what_aer_finds_with_many_shots() -> None:
    exact, sampled = evaluator(ExactNoise())(SMALL), evaluator(Shots(20_000))(SMALL)
    assert (exact.loss, exact.esp) == (sampled.loss, sampled.esp)
    # Four <Z> of 24 samples with an error of 0.007 each, times 5 in the logits.
    assert exact.score == pytest.approx(sampled.score, abs=0.02)
    assert abs(exact.score - exact.loss) > 0.05  # the noise is seen
    assert exact.accuracy == pytest.approx(sampled.accuracy, abs=0.1)


def test_shots_of_the_exact_distributions_scatter_about_them() -> None:
    exact = evaluator(ExactNoise())(SMALL)
    sampled = [evaluator(ExactNoise(shots=4000), seed=seed)(SMALL) for seed in range(4)]
    assert evaluator(ExactNoise(shots=4000), seed=0)(SMALL) == sampled[0]
    scores = [found.score for found in sampled]
    assert len(set(scores)) == 4
    assert np.mean(scores) == pytest.approx(exact.score, abs=0.02)


def test_noise_raises_the_energy() -> None:
    found = vqe(ExactNoise())(Gene((1, 0), ANSATZ.largest()))
    circuit, weights = vqe(ExactNoise()).circuits(ANSATZ.largest())
    assert found.loss == pytest.approx(expval(circuit, [H2], weights).item())
    compiled = compile(circuit.bind(weights=weights), QUITO, layout=(1, 0), seed=5)
    assert found.score == pytest.approx(noisy(compiled, QUITO).expval([H2]).item())
    assert found.score > found.loss
    assert found.accuracy is None
    assert found.error == 1


def test_success_divides_losses_and_multiplies_energies() -> None:
    found = evaluator(SuccessProbability())(SMALL)
    compiled = evaluator(SuccessProbability()).compiled(SMALL)
    assert found.score == pytest.approx(found.loss / compiled.gate_esp)
    gene = Gene((1, 0), ANSATZ.largest())
    energy = vqe(SuccessProbability())(gene)
    assert energy.loss < 0
    expected = energy.loss * vqe(SuccessProbability()).compiled(gene).gate_esp
    assert energy.score == pytest.approx(expected)


def test_any_predictor_takes_the_place_of_success() -> None:
    predictor = Predictor(lambda compiled, _: compiled.gate_esp, "the same")
    assert evaluator(predictor)(SMALL) == evaluator(SuccessProbability())(SMALL)
    assert repr(predictor) == "Predictor('the same')"


def test_the_signal_is_the_loss_of_noisy_readings() -> None:
    weights = MODEL.weights.detach()
    circuit = SUPER.subcircuit(SMALL.config)
    compiled = compile(circuit.bind(weights=weights), QUITO, layout=LAYOUT, seed=5)
    ideal = expval(circuit, weights=weights, inputs=SAMPLES.x)

    def loss(readings: torch.Tensor) -> float:
        return cross_entropy(MODEL.logits(readings), SAMPLES.y).item()

    found = evaluator(SurvivingSignal())(SMALL)
    assert found.esp == compiled.esp
    assert (found.two_qubit_gates, found.depth) == (compiled.two_qubit_gates, compiled.depth)
    assert found.loss == pytest.approx(loss(ideal), rel=1e-5)
    generator = torch.Generator().manual_seed(0)
    signals = torch.tensor(surviving_signals(compiled, QUITO))
    draws = [READING_ERROR * torch.randn(24, 4, generator=generator) for _ in range(500)]
    expected = [loss((signals * ideal + draw) / signals.mean()) for draw in draws]
    spread = np.std(expected) / np.sqrt(8)  # the score is a mean of eight
    assert found.score == pytest.approx(np.mean(expected), abs=5 * spread)


def test_signals_survive_the_gates_of_their_light_cone() -> None:
    circuit = Circuit(4).sx(0).cx(0, 1).sx(1).sx(2).cx(2, 1).sx(1)
    compiled = compile(circuit, QUITO, layout=(0, 1, 2, 4), level=0)
    one, two, readout = QUITO.one_qubit_error, QUITO.two_qubit_error, QUITO.readout_error
    first = (1 - one(0)) * (1 - two(0, 1))
    second = first * (1 - one(1)) * (1 - one(2)) * (1 - two(1, 2))
    expected = [first, second * (1 - one(1)), second, 1.0]
    assert surviving_signals(compiled, QUITO) == pytest.approx(
        [p * (1 - 2 * readout(q)) for p, q in zip(expected, (0, 1, 2, 4), strict=True)]
    )


@pytest.mark.parametrize(
    "estimator", [SuccessProbability(), SurvivingSignal(), ESTIMATORS["quest"]]
)
def test_a_mapping_with_more_errors_scores_worse(estimator) -> None:
    score = evaluator(estimator)
    good, bad = score(SMALL), score(replace(SMALL, layout=BAD_LAYOUT))
    assert good.loss == bad.loss
    assert good.esp > bad.esp
    assert good.score < bad.score


def test_without_a_mapping_qiskit_chooses_it() -> None:
    found = evaluator(ExactNoise())(replace(SMALL, layout=None))
    circuit, weights = INHERITED(SMALL.config)
    compiled = compile(circuit.bind(weights=weights), QUITO, seed=5)
    assert (found.esp, found.depth) == (compiled.esp, compiled.depth)


def test_tuning_lowers_the_loss_and_does_not_depend_on_the_order() -> None:
    def tuned() -> Evaluator:
        config = TrainConfig(20, lr=0.1, batch_size=12)
        return evaluator(SurvivingSignal(), Tuned(INHERITED, MODEL, SAMPLES, SAMPLES, config, 5))

    genes = [SMALL, Gene(LAYOUT, SUPER.largest())]
    forth, back = tuned(), tuned()
    found = [forth(gene) for gene in genes]
    assert [back(gene) for gene in reversed(genes)] == found[::-1]
    for gene, evaluation in zip(genes, found, strict=True):
        assert evaluation.loss < evaluator(SurvivingSignal())(gene).loss


def test_genes_placed_by_qiskit_keep_their_circuits() -> None:
    score = evaluator(ExactNoise())
    genes = [SMALL, Gene(None, SUPER.largest())]
    placed = placed_by_qiskit(score, genes)
    assert [gene.config for gene in placed] == [gene.config for gene in genes]
    circuit, weights = INHERITED(SMALL.config)
    compiled = compile(circuit.bind(weights=weights), QUITO, seed=5)
    assert placed[0].layout == compiled.initial_layout


def test_estimators_by_name() -> None:
    assert find_estimator("noise") == default_estimator(4) == ExactNoise()
    assert find_estimator("signal") == default_estimator(10) == SurvivingSignal()
    with pytest.raises(UsageError, match="no estimator 'nois'; did you mean noise"):
        find_estimator("nois")


def test_evaluations_tell_what_they_depend_on() -> None:
    about = evaluator(ExactNoise()).about()
    assert evaluator(ExactNoise()).about() == about
    other_weights = Inherited(SUPER, MODEL.weights + 1e-3)
    fewer = Classification(MODEL, Split(SAMPLES.x[1:], SAMPLES.y[1:]))
    others = {
        "estimator": evaluator(ExactNoise(shots=100)),
        "circuits": evaluator(ExactNoise(), other_weights),
        "objective": evaluator(ExactNoise(), objective=fewer),
        "device": evaluator(ExactNoise(), device=Device.from_name("lima")),
        "seed": evaluator(ExactNoise(), seed=6),
    }
    for key, other in others.items():
        assert {k for k in about if other.about()[k] != about[k]} == {key}


def test_shots_measure_energies() -> None:
    gene = Gene((1, 0), ANSATZ.largest())
    exact, sampled = vqe(ExactNoise())(gene), vqe(Shots(100_000))(gene)
    assert sampled.score == pytest.approx(exact.score, abs=0.01)
    assert sampled.score != exact.score


def test_the_signal_knows_only_z() -> None:
    with pytest.raises(UsageError, match=r"measures Z on every qubit.* take the estimator 'noise'"):
        vqe(SurvivingSignal())(Gene((1, 0), ANSATZ.largest()))


def test_an_estimator_without_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "qiskit_ibm_runtime", None)
    with pytest.raises(UsageError, match=r"efficient-qml\[ibm\]"):
        evaluator(Shots(10))(SMALL)


def test_spaces_that_do_not_run_on_the_device() -> None:
    line = [[0, 1], [1, 2], [2, 3]]
    alone = Device(GenericBackendV2(4, ["rz", "sx", "x"], coupling_map=line, seed=0))
    with pytest.raises(UsageError, match=r"space u3cu3 do not run on .*no working two-qubit gates"):
        evaluator(ExactNoise(), device=alone)
    large = SuperCircuit(DesignSpace("wide", 1, (Layer("ry"),)), 6)
    with pytest.raises(UsageError, match=r"space wide do not run on fake_quito.* has 6 qubits"):
        evaluator(ExactNoise(), Inherited(large, torch.zeros(6)))


def test_a_mapping_that_nothing_connects() -> None:
    pairs = [[0, 1], [1, 0], [2, 3], [3, 2]]
    parted = Device(GenericBackendV2(4, coupling_map=pairs, seed=0))
    score = evaluator(
        SuccessProbability(), Inherited(ANSATZ, torch.ones(ANSATZ.num_weights)), Energy(H2), parted
    )
    assert score(Gene((0, 1), ANSATZ.largest())).two_qubit_gates > 0
    with pytest.raises(UsageError, match=r"from the layout \[1, 2\].* joined by device.edges"):
        score(Gene((1, 2), ANSATZ.largest()))


def test_weights_of_another_supercircuit() -> None:
    with pytest.raises(UsageError, match=r"shares 72 weights.* the shape \[3\]"):
        Inherited(SUPER, torch.zeros(3))


def test_the_cost_of_executions() -> None:
    assert "1,000 executions on fake_quito are simulated" in cost(QUITO, 1000)
    real = type("Real", (), {"is_simulated": False, "name": "ibm_torino"})()
    assert cost(real, 2_400_000) == (
        "the 2,400,000 executions on ibm_torino will take about 10 minutes of quantum time"
    )


def test_circuits_over_too_many_qubits_are_scored_by_their_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_success, exact = evaluator(SuccessProbability())(SMALL), evaluator(ExactNoise())(SMALL)
    monkeypatch.setattr("qml.nas.estimators.MAX_PHYSICAL", 1)
    assert evaluator(ExactNoise())(SMALL).score == by_success.score != exact.score
