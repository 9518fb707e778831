"""The main job: from real data to circuits that ran on a device, stage by stage over a run folder.

Every stage leaves ``stages/<stage>.json`` when it has finished, always with its "seconds":

- "baseline" (every gate of the design space), "matched" (the first gates of the baseline, as many
  angles as the searched circuit has), "searched" (the winner of the search, trained from scratch),
  "pruned" (the searched circuit without its small angles, the rest fine-tuned): "parameters",
  "noise_free_accuracy" on the test samples that the device gets too, and "history", a record for
  every epoch with "train_loss", "valid_loss" and "valid_accuracy".
- "supercircuit": "parameters" and "history".
- "search": "gene" (the winner: "layout", "layers", "blocks"), "evaluation" (its "score", "loss",
  "accuracy", "esp", "two_qubit_gates" and "depth"), and "history", a record for every generation
  with the "best" and "mean" score and the best one's "loss" and "esp".
- "device-<circuit>": "noisy_accuracy", "one_qubit_gates", "two_qubit_gates", "depth", "esp",
  "initial_layout", "final_layout", and the "predictions" beside the "labels".

``results.json`` puts them side by side: "task", "device", "preset", "seed", "shots", "samples",
"circuits" (a row for every circuit of `CIRCUITS`) and "seconds" by stage. What has finished is
loaded; what is under way goes on from its last epoch, the search from its last evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from compile import Device, compile, run
from qml.data.tasks import Split, Task, load_task
from qml.job.presets import Preset, load_preset
from qml.job.trainer import Trainer
from qml.nas.estimators import Estimator, Shots, cost, default_estimator, find_estimator
from qml.nas.evaluation import Circuits, Evaluator, Inherited, Tuned
from qml.nas.evaluations import EvaluationLog, Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.objectives import Classification
from qml.nas.search import EvolutionarySearch, SearchConfig, placed_by_qiskit
from qml.nas.spaces import U3CU3, DesignSpace, find_space
from qml.nas.supercircuit import SuperCircuit
from qml.nn.model import Classifier
from qml.pools import local_pool
from qml.progress import Reporter
from qml.runs import CIRCUITS, EVALUATIONS_FILE, RESULTS_FILE, TITLES, RunFolder, Stage, damaged
from qml.training.loop import epoch_generator
from qsim import Circuit, Symbol
from qsim.errors import need

# Samples times elements of a density matrix: 64 samples, or about an hour, on ten qubits.
MAX_SIMULATED = 2**26
SEARCHED = ("searched", "pruned")


@dataclass(frozen=True)
class JobConfig:
    """The settings of a job: all that it takes to repeat it."""

    task: str
    device: str
    preset: str
    seed: int
    sizes: Preset
    space: str = U3CU3.name
    estimator: str | None = None
    processes: int = 1

    @classmethod
    def from_names(
        cls,
        task: str,
        device: str,
        preset: str,
        seed: int,
        space: str = U3CU3.name,
        estimator: str | None = None,
        processes: int = 1,
    ) -> JobConfig:
        """Settings with the sizes of a preset.

        Args:
            task, device: as for `load_task` and `Device.from_name`.
            preset: name of the sizes.
            seed: of every random draw.
            space: name of the design space.
            estimator: name of what scores candidates; None for the `default_estimator`.
            processes: of the search, whose result does not depend on their number.

        Raises:
            UsageError: for an unknown preset, design space or estimator.
        """
        find_space(space)
        if estimator is not None:
            find_estimator(estimator)
        return cls(task, device, preset, seed, load_preset(preset), space, estimator, processes)

    @classmethod
    def from_folder(cls, folder: RunFolder) -> JobConfig:
        """The settings that a run was started with. Raises UsageError if they are incomplete."""
        try:
            return cls(**{**folder.config, "sizes": Preset(**folder.config["sizes"])})
        except TypeError as error:
            raise damaged(folder.path / "run.json", "its configuration is not complete") from error

    @property
    def design_space(self) -> DesignSpace:
        """The space of that name, with the blocks of the sizes."""
        space = find_space(self.space)
        return replace(space, blocks=self.sizes.blocks or space.blocks)


class Job:
    """The main job over one run folder: `create` or `open` it, then `run` it."""

    def __init__(self, folder: RunFolder, config: JobConfig, task: Task, device: Device) -> None:
        self.folder = folder
        self.config = config
        self.sizes = config.sizes
        self.task = task
        self.device = device
        self.supercircuit = _supercircuit(config, task)
        self.samples = task.test.first(self._sample_count())

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

    def _sample_count(self) -> int:
        """Test samples for the device: fewer of many qubits if it is simulated."""
        wanted = self.sizes.device_samples or len(self.task.test)
        if not self.device.is_simulated:
            return wanted
        return min(wanted, MAX_SIMULATED >> 2 * self.task.num_qubits)

    def remarks(self) -> list[str]:
        """Sentences on the price of a real device, and on what has changed since the start."""
        remarks = [
            f"{name} was {then or 'missing'} when this run started and is {now or 'missing'} now"
            for name, (then, now) in self.folder.changed_versions().items()
        ]
        calibration = self.folder.read_json("calibration.json")
        if calibration["calibrated"] != self.device.calibration()["calibrated"]:
            remarks.append(f"{self.config.device} has been calibrated anew since this run started")
        if not self.device.is_simulated:
            executions = len(CIRCUITS) * len(self.samples) * self.sizes.shots
            if isinstance(self.estimator, Shots):
                evaluations, samples = self._search_config().evaluations, len(self._scored())
                executions += evaluations * samples * self.estimator.shots
            remarks.append(cost(self.device, executions))
        return remarks

    def run(self, reporter: Reporter) -> dict[str, Any]:
        """Do what is left to do -> the content of ``results.json``."""
        self.reporter = reporter
        self.trainer = Trainer(
            self.folder, self.task, self.samples, self.sizes, self.config.seed, reporter
        )
        full = self.supercircuit.full()
        self.trainer.train("baseline", full)
        gene = self.search(self.trainer.train_supercircuit(self.supercircuit))
        circuit, _ = self.supercircuit.dense(gene.config)
        self.trainer.train("matched", first_gates(full, circuit.num_weights))
        self.trainer.prune(self.trainer.train("searched", circuit))
        for name in CIRCUITS:
            self.run_on_device(name, gene.layout if name in SEARCHED else None)
        return self.conclude()

    def search(self, model: Classifier) -> Gene:
        """Find the sub-circuit and the qubits that keep most of the signal on the device."""
        result = self.folder.stage("search")
        if result is None:
            result = self._search(Stage(self.folder, "search"), model)
        return Gene.from_json(result["gene"])

    def _search(self, stage: Stage, model: Classifier) -> dict[str, Any]:
        seed = self.config.seed
        config = self._search_config()
        space, evaluator = GeneSpace(self.supercircuit, self.device), self._evaluator(model)
        log = EvaluationLog(self.folder.path / EVALUATIONS_FILE, evaluator.about())
        self.reporter.start(TITLES["search"], config.generations, 0, "generations")

        def tell(count: int) -> None:
            self.reporter.update(search.generation, f"{count} candidates")

        with local_pool(evaluator, self.config.processes) as pool:
            evaluations = Evaluations(space, pool, log=log, progress=tell)
            first = self._first_genes(evaluator)
            search = EvolutionarySearch(space, evaluations, config, seed, first=first)
            while search.generation < config.generations:
                line = search.step()
                stage.save({}, search.generation)
                note = f"score {line['best']:.3f}, success {line['esp']:.3f}"
                self.reporter.update(search.generation, note)
        gene, evaluation = search.best
        self.reporter.finish()
        return stage.finish(
            {
                "gene": gene.to_json(),
                "evaluation": evaluation.to_json(),
                "history": search.history,
            }
        )

    def _search_config(self) -> SearchConfig:
        sizes = self.sizes
        return SearchConfig(
            sizes.parents,
            sizes.mutations,
            sizes.crossovers,
            sizes.generations,
            sizes.mutation_probability,
        )

    @property
    def estimator(self) -> Estimator:
        """Scores the candidates of the search."""
        name = self.config.estimator
        return find_estimator(name) if name else default_estimator(self.task.num_qubits)

    def _scored(self) -> Split:
        """The samples that candidates are scored on."""
        return self.task.valid.first(self.sizes.search_samples)

    def _evaluator(self, model: Classifier) -> Evaluator:
        """What scores the genes of the search."""
        sizes, seed, train, valid = self.sizes, self.config.seed, self.task.train, self._scored()
        inherited = Inherited(self.supercircuit, model.weights)
        circuits: Circuits = inherited
        if sizes.tuning_epochs:
            tuning = self.trainer.settings(sizes.tuning_epochs)
            circuits = Tuned(inherited, model, train, valid, tuning, seed)
        objective = Classification(model, valid)
        return Evaluator(circuits, objective, self.device, self.estimator, seed=seed)

    def _first_genes(self, evaluator: Evaluator) -> list[Gene]:
        """Random sub-circuits where Qiskit would place them."""
        rng = epoch_generator(self.config.seed, "search/first", 0)
        configs = [self.supercircuit.sample(rng) for _ in range(self.sizes.parents)]
        return placed_by_qiskit(evaluator, [Gene(None, config) for config in configs])

    def run_on_device(self, name: str, layout: Sequence[int] | None) -> None:
        """Compile a trained circuit and run it on the test samples."""
        if self.folder.stage(f"device-{name}") is not None:
            return
        stage = Stage(self.folder, f"device-{name}")
        circuit = Circuit.from_dict(self.folder.read_json(f"circuits/{name}.json"))
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
                **compiled.costs,
                "initial_layout": list(compiled.initial_layout),
                "final_layout": list(compiled.final_layout),
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
        from qml.job.report import write_report  # it knows this module

        write_report(self.folder)
        self.folder.write_json(RESULTS_FILE, results)
        return results


def first_gates(circuit: Circuit, num_weights: int) -> Circuit:
    """The circuit up to the first gate whose weights are not among the first ``num_weights``."""
    front = Circuit(circuit.num_qubits, num_weights, circuit.num_inputs)
    for gate, qubits, params in circuit.gates:
        beyond = (
            p.source == "weight" and p.index >= num_weights for p in params if isinstance(p, Symbol)
        )
        if any(beyond):
            break
        front.append(gate, qubits, params)
    return front


def _supercircuit(config: JobConfig, task: Task) -> SuperCircuit:
    return SuperCircuit(config.design_space, task.num_qubits, task.encoder)


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
