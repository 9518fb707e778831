import pytest

from qml.nas.evaluation import Evaluation
from qml.plots import (
    plot_accuracy,
    plot_best,
    plot_circuit,
    plot_confusion,
    plot_front,
    plot_gradient_variance,
    plot_predictions,
    plot_search,
    plot_training,
    wilson_interval,
)
from qsim import Circuit, Input, Weight
from qsim.errors import UsageError

EPOCHS = [
    {"train_loss": 1.2, "valid_loss": 1.4, "valid_accuracy": 0.4},
    {"train_loss": 0.9, "valid_loss": 1.1, "valid_accuracy": 0.7},
]
GENERATIONS = [
    {"generation": 1, "best": 1.2, "mean": 1.5, "loss": 0.8, "esp": 0.3},
    {"generation": 2, "best": 1.1, "mean": 1.3, "loss": 0.7, "esp": 0.35},
]


def lines(axes) -> dict[str, tuple[list[float], list[float]]]:
    return {
        line.get_label(): (list(line.get_xdata()), pytest.approx(list(line.get_ydata())))
        for line in axes.get_lines()
    }


def test_wilson_interval() -> None:
    # From scipy.stats.binomtest(k, n).proportion_ci(method="wilson").
    assert wilson_interval(0.0, 10) == pytest.approx((0, 0.27754), abs=1e-4)
    assert wilson_interval(0.5, 10) == pytest.approx((0.23659, 0.76341), abs=1e-4)
    assert wilson_interval(0.9, 100) == pytest.approx((0.82563, 0.94477), abs=1e-4)


def test_training_shows_losses_and_percent() -> None:
    top, bottom = plot_training(EPOCHS, "Title", chance=0.25).axes
    assert lines(top) == {"training": ([1, 2], [1.2, 0.9]), "validation": ([1, 2], [1.4, 1.1])}
    assert lines(bottom)["validation"] == ([1, 2], [40, 70])
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("Loss", "Accuracy (%)")
    assert bottom.get_xlabel() == "Epoch"


def test_training_without_classes_shows_losses_alone() -> None:
    regression = [record | {"valid_accuracy": None} for record in EPOCHS]
    (axes,) = plot_training(regression).axes
    assert lines(axes) == {"training": ([1, 2], [1.2, 0.9]), "validation": ([1, 2], [1.4, 1.1])}
    assert axes.get_xlabel() == "Epoch"
    energies = [{"train_loss": -1.0, "valid_loss": -1.1, "valid_accuracy": None}]
    (axes,) = plot_training(energies).axes
    assert axes.get_ylim()[0] == pytest.approx(-1.1)


def test_predictions_lie_over_what_is_true() -> None:
    figure = plot_predictions({"seen": ([0.1, 0.4], [0.2, 0.5]), "new": ([0.9], [0.8])}, "Title")
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["seen", "new"]
    diagonal, points = (line.get_xydata().tolist() for line in first.get_lines())
    assert diagonal == [[0.1, 0.1], [0.9, 0.9]]
    assert points == [[0.2, 0.1], [0.5, 0.4]]
    assert second.get_lines()[1].get_xydata().tolist() == [[0.8, 0.9]]
    assert (first.get_xlabel(), first.get_ylabel()) == ("Simulated", "Predicted")


def test_search_shows_best_and_mean() -> None:
    (axes,) = plot_search(GENERATIONS).axes
    assert lines(axes) == {
        "best": ([1, 2], [1.2, 1.1]),
        "mean of the population": ([1, 2], [1.5, 1.3]),
    }


def test_front_shows_scores_gates_and_depths() -> None:
    front = [(None, Evaluation(score, 0.5, None, 0.3, gates, 3 * gates))
             for gates, score in ((2, 1.2), (9, 0.8))]  # fmt: skip
    axes, bar = plot_front(front, front[:1]).axes
    behind, points = axes.collections
    assert points.get_offsets().tolist() == [[2, 1.2], [9, 0.8]]
    assert points.get_array().tolist() == [6, 27]
    assert behind.get_offsets().tolist() == [[2, 1.2]]
    assert (axes.get_xlabel(), bar.get_ylabel()) == ("Two-qubit gates", "Depth")


def test_best_shows_loss_and_success() -> None:
    top, bottom = plot_best(GENERATIONS).axes
    assert lines(top) == {"loss": ([1, 2], [0.8, 0.7])}
    assert lines(bottom) == {"success": ([1, 2], [30, 35])}


def test_accuracy_puts_the_first_circuit_on_top() -> None:
    (axes,) = plot_accuracy({"one": (0.9, 0.3), "two": (0.8, 0.7)}, 100, chance=0.5).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert axes.yaxis_inverted()
    assert lines(axes)["without noise"] == ([90, 80], [0, 1])
    assert lines(axes)["on the device, 95% interval"] == ([30, 70], [0, 1])


def test_confusion_counts_rows_by_true_class() -> None:
    (axes,) = plot_confusion([0, 0, 0, 2], [0, 1, 1, 2]).axes
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert {place for place, text in counts.items() if text != "0"} == {(0, 0), (1, 0), (2, 2)}
    assert counts[1, 0] == "2"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class")


def test_long_circuits_fold() -> None:
    circuit = Circuit(2).rx(Input(0), 0).ry(Weight(0), 1)
    short = plot_circuit(circuit)
    for _ in range(30):
        circuit.cx(0, 1).cx(1, 0)
    long = plot_circuit(circuit)
    assert {"x[0]", "w[0]"} <= {text.get_text() for text in short.axes[0].texts}
    assert long.get_figwidth() < 13
    assert long.get_figheight() > 2 * short.get_figheight()


def test_gradient_variance_shows_the_exponential() -> None:
    (axes,) = plot_gradient_variance({2: 0.25, 4: 0.0625, 6: 2**-6}, "Plateau").axes
    found = lines(axes)
    assert found["variance"] == ([2, 4, 6], [2**-2, 2**-4, 2**-6])
    assert found["a factor of 0.50 a qubit"] == ([2, 4, 6], [2**-2, 2**-4, 2**-6])
    assert (axes.get_yscale(), axes.get_xlabel()) == ("log", "Qubits")


@pytest.mark.parametrize("variances", [{2: 0.1}, {2: 0.1, 3: 0.0}])
def test_variances_without_an_exponential(variances: dict[int, float]) -> None:
    with pytest.raises(UsageError, match="two or more positive numbers"):
        plot_gradient_variance(variances)
