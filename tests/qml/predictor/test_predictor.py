"""The graph transformer: what it must not depend on, training that goes on, the shipped weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from compile import Device, compile
from qml.predictor.circuits import algorithm_circuits, random_compiled
from qml.predictor.commands import app
from qml.predictor.data import padded, random_circuits, simulated
from qml.predictor.estimator import SHIPPED, load_predictor, predict_all, predict_success
from qml.predictor.graph import ERROR, circuit_graph
from qml.predictor.model import GraphTransformer
from qml.predictor.training import Quality, train
from qsim import Circuit
from qsim.errors import UsageError

QUITO = Device.from_name("FakeQuitoV2")


@pytest.fixture(scope="module")
def circuits():
    rng = np.random.default_rng(11)
    return [random_compiled(QUITO, rng) for _ in range(6)]


def test_a_batch_is_its_circuits_one_by_one(circuits):
    graphs = [circuit_graph(compiled, QUITO) for compiled in circuits]
    model = GraphTransformer().eval()
    one_by_one = torch.cat([model(graph[None]) for graph in graphs])
    torch.testing.assert_close(model(padded(graphs)), one_by_one)


def test_without_errors_nothing_fails(circuits):
    graph = circuit_graph(circuits[0], QUITO)
    graph[:, ERROR] = 0
    assert GraphTransformer()(graph[None]).item() == 1


def test_the_order_of_the_nodes_does_not_matter(circuits):
    graph = circuit_graph(circuits[1], QUITO)
    order = torch.randperm(len(graph))
    place = torch.cat([order.argsort(), torch.tensor([-1])])
    moved = graph[order].clone()
    moved[:, -4:] = place[moved[:, -4:].long()].float()
    model = GraphTransformer()
    torch.testing.assert_close(model(moved[None]), model(graph[None]))


def test_quality():
    simulated = torch.tensor([0.0, 1.0])
    assert Quality.of(simulated, simulated) == (1, 0)
    assert Quality.of(torch.tensor([0.5, 0.5]), simulated) == (0, 0.5)


# --- The shipped weights --------------------------------------------------------------------------


def test_shipped_weights_predict_new_circuits():
    rng = np.random.default_rng(2024)
    names = ("FakeQuitoV2", "FakeJakartaV2", "FakeTorino", "FakeVigoV2", "FakeOslo")
    devices = [Device.from_name(name) for name in names]
    pairs = [(random_compiled(device, rng), device) for device in devices for _ in range(12)]
    found = torch.tensor([predict_success(*pair) for pair in pairs])
    assert Quality.of(found, simulated(pairs).y).r2 > 0.95


def test_shipped_weights_predict_known_algorithms():
    names, compiled, devices = zip(*algorithm_circuits(["FakeBelemV2"], [3, 4]), strict=True)
    assert set(names) >= {"ghz", "qft", "qaoa"}
    found = predict_all(compiled, devices[0])
    assert Quality.of(found, simulated(zip(compiled, devices, strict=True)).y).r2 > 0.9


def test_better_qubits_are_preferred():
    circuit = Circuit(2).h(0).cx(0, 1)
    layouts = [list(edge) for edge in QUITO.edges]
    compiled = [compile(circuit, QUITO, layout=layout) for layout in layouts]
    simulated_best = simulated((c, QUITO) for c in compiled).y.argmax()
    assert predict_all(compiled, QUITO).argmax() == simulated_best


def test_shipped_weights_are_small():
    assert SHIPPED.stat().st_size < 1_000_000


# --- Training -------------------------------------------------------------------------------------


class Silent:
    def start(self, title, total, done, unit): ...

    def update(self, done, note=""): ...

    def finish(self): ...


def test_circuits_depend_on_seed_name_and_number_alone(tmp_path):
    few = random_circuits(tmp_path, "a", 3, ["FakeQuitoV2", "FakeLimaV2"], 0)
    more = random_circuits(tmp_path, "a", 4, ["FakeQuitoV2", "FakeLimaV2"], 0)
    assert torch.equal(few.y, more.y[:3])
    other = random_circuits(tmp_path, "b", 3, ["FakeQuitoV2", "FakeLimaV2"], 0)
    assert not torch.equal(few.y, other.y)


def test_training_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("qml.predictor.training.UNSEEN_DEVICES", ("FakeLimaV2",))
    monkeypatch.setattr("qml.predictor.training.DEVICES", ("FakeQuitoV2",))
    monkeypatch.setattr(
        "qml.predictor.training.algorithm_circuits",
        lambda: algorithm_circuits(["FakeQuitoV2"], [2]),
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = {"circuits": 20, "epochs": 4, "seed": 1}
    quality = train(whole, Silent(), **options)

    class Stops(Silent):
        def update(self, done, note=""):
            if self.title == "Training" and done == 2:
                raise KeyboardInterrupt

        def start(self, title, total, done, unit):
            self.title = title

    with pytest.raises(KeyboardInterrupt):
        train(broken, Stops(), **options)
    assert not (broken / "predictor.safetensors").exists()
    assert train(broken, Silent(), **options) == quality
    ours, theirs = (load_predictor(f / "predictor.safetensors") for f in (whole, broken))
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name])
    assert (whole / "predictions.svg").read_text().count("<svg") == 1
    with pytest.raises(UsageError, match="does not go on with"):
        train(whole, Silent(), circuits=30, epochs=4, seed=1)


def test_too_few_circuits(tmp_path):
    with pytest.raises(UsageError, match="20 circuits, two of which test"):
        train(tmp_path, Silent(), circuits=19)


def test_folders_that_do_not_serve(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"):
        train(tmp_path / "file" / "folder", Silent())
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        train(tmp_path, Silent())


def test_the_command_says_what_it_takes():
    said = CliRunner().invoke(app, ["train", "--help"]).output
    assert "Random circuits to simulate" in said
