"""The training stages of the main job, over a run folder."""

from __future__ import annotations

from qml.data.tasks import Split, Task
from qml.job.presets import Preset
from qml.nas.supercircuit import SuperCircuit
from qml.nn.model import Classifier
from qml.progress import Reporter
from qml.pruning import PruneConfig, prune
from qml.runs import TITLES, RunFolder, Stage
from qml.training.checkpoints import TrainState
from qml.training.loop import (
    Callback,
    CircuitSampler,
    TrainConfig,
    evaluate,
    fit,
)
from qml.training.start import near_identity
from qsim import Circuit
from qsim.interop.openqasm import to_openqasm3


class Trainer:
    """Trains circuits, with a checkpoint after every epoch; what is finished is loaded.

    Args:
        folder: where weights, circuits, checkpoints and results of stages are kept.
        task: the data.
        samples: what the noise-free accuracy of a finished circuit is measured on.
        sizes: epochs, learning rates, batch size, and how much is pruned.
        seed: of every random draw, together with the name of the stage.
        reporter: is told how far a stage has come.
    """

    def __init__(
        self,
        folder: RunFolder,
        task: Task,
        samples: Split,
        sizes: Preset,
        seed: int,
        reporter: Reporter,
    ) -> None:
        self.folder = folder
        self.task = task
        self.samples = samples
        self.sizes = sizes
        self.seed = seed
        self.reporter = reporter

    def train(self, name: str, circuit: Circuit) -> Classifier:
        """Train a circuit from scratch."""
        if self.folder.stage(name) is None:
            stage = Stage(self.folder, name)
            model = self._fresh(name, circuit)
            self._keep(stage, model, self._fit(stage, model, self.sizes.epochs))
        return self._trained(name, circuit)

    def train_supercircuit(self, supercircuit: SuperCircuit) -> Classifier:
        """Train the shared weights, another sub-circuit at every step."""
        name, circuit = "supercircuit", supercircuit.full()
        if self.folder.stage(name) is None:
            stage = Stage(self.folder, name)
            model = self._fresh(name, circuit)
            sampler = supercircuit.sampler()
            state = self._fit(stage, model, self.sizes.super_epochs, sampler=sampler)
            self._write_weights(name, model)
            self.reporter.finish()
            stage.finish({"parameters": circuit.num_weights, "history": _history(state)})
        return self._trained(name, circuit)

    def prune(self, model: Classifier) -> None:
        """Take the small angles out of a trained circuit and fine-tune the others."""
        if self.folder.stage("pruned") is None:
            stage = Stage(self.folder, "pruned")
            sizes = self.sizes
            config = TrainConfig(sizes.prune_epochs, sizes.prune_learning_rate, sizes.batch_size)
            state, keep = self._start(stage, config.epochs)
            pruned, state = prune(
                model,
                self.task.train,
                self.task.valid,
                config,
                PruneConfig(sizes.prune_ratio),
                seed=self.seed,
                stage=stage.name,
                state=state,
                callbacks=[keep],
            )
            self._keep(stage, pruned, state)

    def _fit(
        self,
        stage: Stage,
        model: Classifier,
        epochs: int,
        *,
        sampler: CircuitSampler | None = None,
    ) -> TrainState:
        """Train, or go on training, with a checkpoint after every epoch."""
        config = self.settings(epochs)
        train, valid, seed = self.task.train, self.task.valid, self.seed
        state, keep = self._start(stage, epochs)
        return fit(
            model, train, valid, config,
            seed=seed, stage=stage.name, state=state, callbacks=[keep], sampler=sampler,
        )  # fmt: skip

    def settings(self, epochs: int) -> TrainConfig:
        """Settings of training for so many epochs."""
        return TrainConfig(epochs, self.sizes.learning_rate, self.sizes.batch_size)

    def _start(self, stage: Stage, epochs: int) -> tuple[TrainState | None, Callback]:
        """Announce a training stage -> where it goes on from, and what to do after every epoch."""
        state = TrainState.from_parts(stage.tensors, stage.state) if stage.state else None
        self.reporter.start(TITLES[stage.name], epochs, state.epoch if state else 0, "epochs")

        def keep(state: TrainState) -> None:
            stage.save(state.tensors, state.to_json())
            self.reporter.update(state.epoch, state.note)

        return state, keep

    def _fresh(self, name: str, circuit: Circuit) -> Classifier:
        """A classifier whose gates are close to the identity."""
        weights = near_identity(circuit, self.seed, name)
        return Classifier(circuit, self.task.num_classes, weights=weights)

    def _trained(self, name: str, circuit: Circuit) -> Classifier:
        """The classifier of a finished stage."""
        tensors, _ = self.folder.read_tensors(f"weights/{name}.safetensors")
        return Classifier(circuit, self.task.num_classes, weights=tensors["weights"])

    def _write_weights(self, name: str, model: Classifier) -> None:
        self.folder.write_tensors(f"weights/{name}.safetensors", {"weights": model.weights})

    def _keep(self, stage: Stage, model: Classifier, state: TrainState) -> None:
        """Write a trained circuit and finish its stage."""
        bound = model.circuit.bind(weights=model.weights)
        self._write_weights(stage.name, model)
        self.folder.write_json(f"circuits/{stage.name}.json", bound.to_dict())
        self.folder.write_text(f"circuits/{stage.name}.logical.qasm", to_openqasm3(bound))
        self.reporter.finish()
        stage.finish(
            {
                "parameters": model.circuit.num_weights,
                "noise_free_accuracy": evaluate(model, self.samples).accuracy,
                "history": _history(state),
            }
        )


def _history(state: TrainState) -> list[dict[str, float | None]]:
    return [record._asdict() for record in state.history]
