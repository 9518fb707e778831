"""What a sub-circuit on some qubits of a device is worth, before it is trained on its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from compile import Compiled, Device, compile
from qml.data.tasks import Split
from qml.nas.genes import Gene
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qml.nn.model import Classifier
from qml.training.loop import TrainConfig, fit
from qsim import expval

# Error of a measured <Z> that does not shrink with the signal. In simulations of FakeQuitoV2 it is
# 0.02: 0.011 from 8,192 shots, and biases of 0.018. The rest is a reserve for what calibrations do
# not tell (crosstalk, idling, drift): with it, searches on digits-4 (three seeds) found circuits of
# 9 to 22 two-qubit gates instead of 22 to 34, no less accurate in simulation.
READING_ERROR = 0.05
_DRAWS = 8
_MIN_SIGNAL = 1e-3


@dataclass(frozen=True)
class Evaluation:
    """What a gene is worth. ``score`` decides, lower is better.

    ``loss`` is the noise-free validation loss, ``esp`` the estimated success probability of the
    compiled circuit.
    """

    score: float
    loss: float
    esp: float


def surviving_signals(compiled: Compiled, device: Device) -> list[float]:
    """Factor by which noise shrinks <Z> of every logical qubit, to first order.

    It is the probability that no gate fails in the light cone of the qubit (gates outside cannot
    touch it), times 1 - 2 r for a readout that errs with probability r.
    """
    index = {qubit: i for i, qubit in enumerate(compiled.circuit.qubits)}
    gates = [
        (instruction.name, tuple(index[qubit] for qubit in instruction.qubits))
        for instruction in reversed(compiled.circuit.data)
    ]
    signals = []
    for measured in compiled.final_layout:
        cone, signal = {measured}, 1 - 2 * device.readout_error(measured)
        for name, qubits in gates:
            if not cone.isdisjoint(qubits):
                cone.update(qubits)
                signal *= 1 - device.gate_errors.get((name, qubits), 0.0)
        signals.append(signal)
    return signals


class SubCircuitScore:
    """The loss of a sub-circuit behind the noise of its mapping.

    A device shrinks <Z> of qubit q to about s_q <Z>, where s_q are the `surviving_signals` of the
    compiled circuit. A common factor would not change the most likely class: what does is that the
    factors differ, and errors e that do not shrink with the signal, shot noise and biases of size
    `READING_ERROR`. The score is the validation loss of such readings, scaled back by the mean s of
    the factors, averaged over fixed normal draws of e:

        score = loss((s_q <Z>_q + e_q) / s)

    QuantumNAS (arXiv:2107.10845) scores by loss / (estimated success probability), with weights of
    the SuperCircuit as they are. These favour the large sub-circuits, which share most of them, so
    here they are trained further for some epochs first. Rank correlation with the accuracy under
    the noise of FakeQuitoV2, over 22 sub-circuits of digits-4 trained from scratch, two seeds:
    loss / probability 0.06 and 0.32, after 5 epochs of tuning 0.35 and 0.69; this score after 5
    epochs 0.44 and 0.78, and 0.70 and 0.86 with READING_ERROR = 0.02, which is what simulation has.

    Args:
        supercircuit: what the genes choose from.
        model: a classifier with the trained shared weights.
        train: samples for further training.
        valid: samples that are scored.
        device: what to compile for.
        tuning: settings of the further training, None for none.
        seed: of compilation, training and draws.
    """

    def __init__(
        self,
        supercircuit: SuperCircuit,
        model: Classifier,
        train: Split,
        valid: Split,
        device: Device,
        tuning: TrainConfig | None,
        seed: int,
    ) -> None:
        self.supercircuit = supercircuit
        self.model = model
        self.train = train
        self.valid = valid
        self.device = device
        self.tuning = tuning
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        shape = (_DRAWS, len(valid), supercircuit.num_qubits)
        self._errors = READING_ERROR * torch.randn(shape, generator=generator)
        self._tuned: dict[SubConfig, Classifier] = {}

    def __call__(self, gene: Gene) -> Evaluation:
        model = self.tuned(gene.config)
        circuit = model.circuit.bind(weights=model.weights)
        compiled = compile(circuit, self.device, layout=gene.layout, seed=self.seed)
        with torch.no_grad():
            expvals = expval(model.circuit, weights=model.weights, inputs=self.valid.x)
        signals = torch.tensor(surviving_signals(compiled, self.device))
        readings = (signals * expvals + self._errors) / signals.mean().clamp_min(_MIN_SIGNAL)
        return Evaluation(self._loss(readings), self._loss(expvals[None]), compiled.esp)

    def tuned(self, config: SubConfig) -> Classifier:
        """The sub-circuit with inherited weights, trained further."""
        config = self.supercircuit.canonical(config)
        if config not in self._tuned:
            circuit, index = self.supercircuit.dense(config)
            weights = self.model.weights.detach()[index]
            model = Classifier(circuit, self.model.num_classes, weights=weights)
            if self.tuning is not None:
                fit(model, self.train, self.valid, self.tuning, seed=self.seed, stage="tuning")
            self._tuned[config] = model
        return self._tuned[config]

    def qiskit_layout(self, config: SubConfig) -> tuple[int, ...]:
        """Where Qiskit would place the sub-circuit."""
        model = self.tuned(config)
        circuit = model.circuit.bind(weights=model.weights)
        return compile(circuit, self.device, seed=self.seed).initial_layout

    def _loss(self, expvals: Tensor) -> float:
        """Mean cross-entropy of <Z> [draws, samples, qubits]."""
        logits = self.model.logits(expvals).flatten(0, 1)
        return cross_entropy(logits, self.valid.y.repeat(len(expvals))).item()
