"""The main job: from real data to circuits that ran on a device, stage by stage over a run folder.

Every stage leaves ``stages/<stage>.json`` when it has finished, always with its "seconds":

- "baseline" (every gate of the design space), "matched" (the first gates of the baseline, as many
  angles as the searched circuit has), "searched" (the winner of the search, trained from scratch),
  "pruned" (the searched circuit without its small angles, the rest fine-tuned): "parameters",
  "noise_free_accuracy" on the test samples that the device gets too, and "history", a record for
  every epoch with "train_loss", "valid_loss" and "valid_accuracy".
- "supercircuit": "parameters" and "history".
- "search": "gene" (the winner: "layout", "widths", "blocks"), "evaluation" (its "score", "loss" and
  "esp"), and "history", a record for every generation with the "best" and "mean" score and the best
  one's "loss" and "esp".
- "device-<circuit>": "noisy_accuracy", "one_qubit_gates", "two_qubit_gates", "depth", "esp",
  "initial_layout", "final_layout", and the "predictions" beside the "labels".

``results.json`` puts them side by side: "task", "device", "preset", "seed", "shots", "samples",
"circuits" (a row for every circuit of `CIRCUITS`) and "seconds" by stage. What has finished is
loaded; what is under way goes on from its last epoch or generation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from compile import Compiled, Device, compile, run
from qml.files import damaged
from qml.genes import Gene, GeneSpace
from qml.model import Classifier
from qml.presets import Preset, load_preset
from qml.progress import Reporter
from qml.pruning import PruneConfig, prune
from qml.runs import RESULTS_FILE, RunFolder, Stage
from qml.search import EvolutionarySearch, SubCircuitScore
from qml.serialization import circuit_from_json, circuit_to_json
from qml.spaces import U3CU3
from qml.supercircuit import SuperCircuit
from qml.tasks import Split, Task, load_task
from qml.training import (
    CircuitSampler,
    TrainConfig,
    TrainState,
    epoch_generator,
    evaluate,
    fit,
)
from qsim import Circuit, Symbol
from qsim.errors import need
from qsim.interop.openqasm import to_openqasm3

TITLES = {
    "baseline": "Training the baseline",
    "supercircuit": "Training the SuperCircuit",
    "search": "Searching circuit and qubits",
    "matched": "Training a plain circuit of that size",
    "searched": "Training the searched circuit",
    "pruned": "Pruning and fine-tuning",
}
CIRCUITS = {
    "baseline": "Baseline",
    "matched": "Same size",
    "searched": "Searched",
    "pruned": "Searched and pruned",
}
SEARCHED = ("searched", "pruned")
INITIAL_SPREAD = 0.1  # radians


@dataclass(frozen=True)
class JobConfig:
    """The settings of a job: all that it takes to repeat it."""

    task: str
    device: str
    preset: str
    seed: int
    sizes: Preset

    @classmethod
    def from_names(cls, task: str, device: str, preset: str, seed: int) -> JobConfig:
        """Settings with the sizes of a preset. Raises UsageError for an unknown preset."""
        return cls(task, device, preset, seed, load_preset(preset))

    @classmethod
    def from_folder(cls, folder: RunFolder) -> JobConfig:
        """The settings that a run was started with. Raises UsageError if they are incomplete."""
        try:
            return cls(**{**folder.config, "sizes": Preset(**folder.config["sizes"])})
        except (KeyError, TypeError) as error:
            raise damaged(folder.path / "run.json", "its configuration is not complete") from error


class Job:
    """The main job over one run folder: `create` or `open` it, then `run` it."""

    def __init__(self, folder: RunFolder, config: JobConfig, task: Task, device: Device) -> None:
        self.folder = folder
        self.config = config
        self.sizes = config.sizes
        self.task = task
        self.device = device
        self.supercircuit = _supercircuit(config, task)
        self.samples = _first(task.test, config.sizes.device_samples)

    @classmethod
    def create(cls, config: JobConfig, path: str | Path) -> Job:
        """Start a job in a new folder.

        Raises:
            UsageError: unknown task or device, a device too small for the task, a missing package,
                or a folder that holds files already or cannot be written. Only a job that can run
                makes a folder.
        """
        task, device = load_task(config.task, config.seed), Device.from_name(config.device)
        GeneSpace(_supercircuit(config, task), device)
        for package in ("jinja2", "matplotlib"):
            need(package, extra="plot", purpose="the report of a run")
        folder = RunFolder.create(
            path, asdict(config), seeds={"all": config.seed}, calibration=device.calibration()
        )
        return cls(folder, config, task, device)

    @classmethod
    def open(cls, folder: RunFolder) -> Job:
        """Take up the job of a run folder."""
        config = JobConfig.from_folder(folder)
        task, device = load_task(config.task, config.seed), Device.from_name(config.device)
        return cls(folder, config, task, device)

    def changes(self) -> list[str]:
        """Sentences on what has changed since the job started, and may change its results."""
        remarks = [
            f"{name} was {then or 'missing'} when this run started and is {now or 'missing'} now"
            for name, (then, now) in self.folder.changed_versions().items()
        ]
        calibration = json.loads(json.dumps(self.device.calibration()))
        if self.folder.read_json("calibration.json") != calibration:
            remarks.append(f"{self.config.device} has been calibrated anew since this run started")
        return remarks

    def run(self, reporter: Reporter) -> dict[str, Any]:
        """Do what is left to do -> the content of ``results.json``."""
        self.reporter = reporter
        full = self.supercircuit.full()
        self.train("baseline", full)
        gene = self.search(self.train_supercircuit())
        circuit, _ = self.supercircuit.dense(gene.config)
        self.train("matched", first_gates(full, circuit.num_weights))
        self.prune(self.train("searched", circuit))
        for name in CIRCUITS:
            self.run_on_device(name, gene.layout if name in SEARCHED else None)
        return self.conclude()

    def train(self, name: str, circuit: Circuit) -> Classifier:
        """Train a circuit from scratch."""
        if self.folder.stage(name) is None:
            stage = Stage(self.folder, name)
            model = self._fresh(name, circuit)
            self._keep(stage, model, self._fit(stage, model, self.sizes.epochs))
        return self._trained(name, circuit)

    def train_supercircuit(self) -> Classifier:
        """Train the shared weights, another sub-circuit at every step."""
        name, circuit = "supercircuit", self.supercircuit.full()
        if self.folder.stage(name) is None:
            stage = Stage(self.folder, name)
            model = self._fresh(name, circuit)
            sampler = self.supercircuit.sampler()
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
                seed=self.config.seed,
                stage=stage.name,
                state=state,
                on_epoch_end=keep,
            )
            self._keep(stage, pruned, state)

    def search(self, model: Classifier) -> Gene:
        """Find the sub-circuit and the qubits that keep most of the signal on the device."""
        result = self.folder.stage("search")
        if result is None:
            result = self._search(Stage(self.folder, "search"), model)
        return Gene.from_json(result["gene"])

    def _search(self, stage: Stage, model: Classifier) -> dict[str, Any]:
        seed, total = self.config.seed, self.sizes.generations
        train, valid = self.task.train, _first(self.task.valid, self.sizes.search_samples)
        tuning = self._training(self.sizes.tuning_epochs)
        score = SubCircuitScore(self.supercircuit, model, train, valid, self.device, tuning, seed)
        space = GeneSpace(self.supercircuit, self.device)
        search = EvolutionarySearch(space, score, self.sizes, seed, state=stage.state)
        self.reporter.start(TITLES["search"], total, search.generation, "generations")
        while search.generation < total:
            line = search.step()
            stage.save({}, search.state())
            note = f"score {line['best']:.3f}, success {line['esp']:.3f}"
            self.reporter.update(search.generation, note)
        gene, evaluation = search.best
        self.reporter.finish()
        return stage.finish(
            {"gene": gene.to_json(), "evaluation": asdict(evaluation), "history": search.history}
        )

    def run_on_device(self, name: str, layout: Sequence[int] | None) -> None:
        """Compile a trained circuit and run it on the test samples."""
        if self.folder.stage(f"device-{name}") is not None:
            return
        stage = Stage(self.folder, f"device-{name}")
        circuit = circuit_from_json(self.folder.read_json(f"circuits/{name}.json"))
        compiled = compile(circuit, self.device, layout=layout, seed=self.config.seed)
        self.folder.write_text(f"circuits/{name}.compiled.qasm", compiled.to_openqasm3())
        title = f"{CIRCUITS[name]} on {self.config.device}"
        self.reporter.start(title, len(self.samples), 0, "samples")
        expvals = run(
            compiled,
            self.device,
            self.samples.x,
            shots=self.sizes.shots,
            seed=self.config.seed,
            progress=lambda done, _: self.reporter.update(done),
        )
        logits = Classifier(circuit, self.task.num_classes).logits(expvals)
        predictions = logits.argmax(1)
        accuracy = (predictions == self.samples.y).float().mean().item()
        self.reporter.update(len(self.samples), f"accuracy {accuracy:.3f}")
        self.reporter.finish()
        stage.finish(
            {
                "noisy_accuracy": accuracy,
                **_compiled_facts(compiled),
                "predictions": predictions.tolist(),
                "labels": self.samples.y.tolist(),
            }
        )

    def conclude(self) -> dict[str, Any]:
        """Write the report, and what the stages found side by side into ``results.json``."""
        trained = {name: self.folder.stage(name) or {} for name in TITLES}
        measured = {name: self.folder.stage(f"device-{name}") or {} for name in CIRCUITS}
        seconds = {name: stage["seconds"] for name, stage in trained.items()}
        results = {
            "task": self.task.name,
            "device": self.config.device,
            "preset": self.config.preset,
            "seed": self.config.seed,
            "shots": self.sizes.shots,
            "samples": len(self.samples),
            "circuits": {name: _row(trained[name], measured[name]) for name in CIRCUITS},
            "seconds": seconds | {f"device-{k}": v["seconds"] for k, v in measured.items()},
        }
        from qml.report import write_report  # it knows this module

        write_report(self.folder)
        self.folder.write_json(RESULTS_FILE, results)
        return results

    def _fit(
        self,
        stage: Stage,
        model: Classifier,
        epochs: int,
        *,
        sampler: CircuitSampler | None = None,
    ) -> TrainState:
        """Train, or go on training, with a checkpoint after every epoch."""
        config = self._training(epochs)
        train, valid, seed = self.task.train, self.task.valid, self.config.seed
        state, keep = self._start(stage, epochs)
        return fit(
            model, train, valid, config,
            seed=seed, stage=stage.name, state=state, on_epoch_end=keep, sampler=sampler,
        )  # fmt: skip

    def _training(self, epochs: int) -> TrainConfig:
        return TrainConfig(epochs, self.sizes.learning_rate, self.sizes.batch_size)

    def _start(
        self, stage: Stage, epochs: int
    ) -> tuple[TrainState | None, Callable[[TrainState], None]]:
        """Announce a training stage -> where it goes on from, and what to do after every epoch."""
        state = TrainState.from_parts(stage.tensors, stage.state) if stage.state else None
        self.reporter.start(TITLES[stage.name], epochs, state.epoch if state else 0, "epochs")

        def keep(state: TrainState) -> None:
            stage.save(state.tensors, state.to_json())
            record = state.history[-1]
            note = f"loss {record.valid_loss:.3f}, accuracy {record.valid_accuracy:.3f}"
            self.reporter.update(state.epoch, note)

        return state, keep

    def _fresh(self, name: str, circuit: Circuit) -> Classifier:
        """A classifier whose gates are close to the identity.

        That is as good a start as any for a single circuit, and a better one for a SuperCircuit:
        a sub-circuit is then close to those with some gates more or less, whose weights it shares.
        """
        rng = epoch_generator(self.config.seed, f"{name}/weights", 0)
        weights = torch.from_numpy(rng.normal(0, INITIAL_SPREAD, circuit.num_weights)).float()
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
        self.folder.write_json(f"circuits/{stage.name}.json", circuit_to_json(bound))
        self.folder.write_text(f"circuits/{stage.name}.logical.qasm", to_openqasm3(bound))
        self.reporter.finish()
        stage.finish(
            {
                "parameters": model.circuit.num_weights,
                "noise_free_accuracy": evaluate(model, self.samples).accuracy,
                "history": _history(state),
            }
        )


def first_gates(circuit: Circuit, num_weights: int) -> Circuit:
    """The circuit without the gates whose weights are not among the first ``num_weights``."""
    front = Circuit(circuit.num_qubits, num_weights, circuit.num_inputs)
    for gate, qubits, params in circuit.operations:
        beyond = (
            p.source == "weight" and p.index >= num_weights for p in params if isinstance(p, Symbol)
        )
        if not any(beyond):
            front.append(gate, qubits, params)
    return front


def _supercircuit(config: JobConfig, task: Task) -> SuperCircuit:
    space = replace(U3CU3, blocks=config.sizes.blocks)
    return SuperCircuit(space, task.num_qubits, task.encoder)


def _first(split: Split, count: int | None) -> Split:
    return Split(split.x[:count], split.y[:count])


def _history(state: TrainState) -> list[dict[str, float]]:
    return [record._asdict() for record in state.history]


def _compiled_facts(compiled: Compiled) -> dict[str, Any]:
    return {
        "one_qubit_gates": compiled.one_qubit_gates,
        "two_qubit_gates": compiled.two_qubit_gates,
        "depth": compiled.depth,
        "esp": compiled.esp,
        "initial_layout": list(compiled.initial_layout),
        "final_layout": list(compiled.final_layout),
    }


def _row(trained: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    keys = (
        "noisy_accuracy",
        "one_qubit_gates",
        "two_qubit_gates",
        "depth",
        "esp",
        "initial_layout",
    )
    return {
        "parameters": trained["parameters"],
        "noise_free_accuracy": trained["noise_free_accuracy"],
        **{key: measured[key] for key in keys},
        "seconds": {"train": trained["seconds"], "device": measured["seconds"]},
    }
