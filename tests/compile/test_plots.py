"""Maps of devices: what is drawn, coloured and labelled."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from compile import Compiled, Device, compile
from compile.plots import plot_device
from compile.timeline import plot_timeline
from qsim import Circuit, UsageError, qft

LineDevice = Callable[..., Device]


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.axes[0].texts}


def compiled_on(device: Device, layout: tuple[int, ...]) -> Compiled:
    return compile(Circuit(3).h(0).cx(0, 1).cx(1, 2), device, layout=layout)


@pytest.mark.parametrize("name", ["quito", "kolkata", "torino", "armonk"])
def test_all_qubits_and_couplings_are_drawn(name: str) -> None:
    device = Device.from_name(name)
    figure = plot_device(device)
    couplings, qubits = [], None
    for drawn in figure.axes[0].collections:
        if drawn.get_array() is not None and hasattr(drawn, "get_segments"):
            couplings = list(drawn.get_array())
        elif drawn.get_array() is not None:
            qubits = drawn
    assert couplings == [device.two_qubit_error(*edge) for edge in device.edges]
    assert qubits is not None
    assert list(qubits.get_array()) == [device.readout_error(q) for q in range(device.num_qubits)]
    places = np.asarray(qubits.get_offsets())
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(len(places))
    assert apart.min() > 0.6  # circles do not overlap
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    assert file.getvalue().startswith(b"<?xml")
    assert pyplot.get_fignums() == []


def test_chosen_qubits_bear_their_logical_numbers(quito: Device) -> None:
    compiled = compiled_on(quito, (3, 1, 0))
    figure = plot_device(quito, compiled)
    assert {"q0", "q1", "q2", "0", "1", "2", "3", "4"} <= texts(figure)
    assert texts(plot_device(quito)) == {"0", "1", "2", "3", "4"}


def test_moved_qubits_show_start_and_end(quito: Device) -> None:
    compiled = compile(Circuit(2).x(0).swap(0, 1).cx(0, 1), quito, layout=(3, 4), level=2)
    assert compiled.initial_layout != compiled.final_layout
    assert {"q0→1", "q1→0"} <= texts(plot_device(quito, compiled))


def test_highlighted_qubits_are_ringed(quito: Device) -> None:
    widths = plot_device(quito, highlight=[1, 4]).axes[0].collections[-1].get_linewidths()
    assert [width > 2 for width in widths] == [False, True, False, False, True]


def test_dead_couplings_are_dotted(line: LineDevice) -> None:
    figure = plot_device(line({(0, 1): 0.01, (1, 2): 1.0}))
    dead = figure.axes[0].collections[0]
    assert len(dead.get_segments()) == 1
    assert dead.get_linestyles() != [(0.0, None)]


def test_outliers_do_not_swallow_the_colours(line: LineDevice) -> None:
    errors = {(q, q + 1): 0.01 for q in range(5)} | {(5, 6): 0.9}
    couplings = plot_device(line(errors)).axes[0].collections[1]
    assert couplings.norm.vmax == pytest.approx(0.04)
    assert couplings.colorbar.extend == "max"


def test_mistakes(quito: Device) -> None:
    with pytest.raises(UsageError, match="there is no 7"):
        plot_device(quito, highlight=[7])
    with pytest.raises(UsageError, match="compiled for fake_quito"):
        plot_device(Device.from_name("lima"), compiled_on(quito, (0, 1, 2)))


# --- One compiled circuit -------------------------------------------------------------------------


def test_error_map_shows_where_success_is_lost(quito: Device) -> None:
    compiled = compiled_on(quito, (3, 1, 0))
    figure = compiled.plot_error_map()
    assert {"q0", "q1", "q2"} <= texts(figure)
    couplings, qubits = (
        next(c for c in figure.axes[0].collections if kind(c) and c.get_array() is not None)
        for kind in (lambda c: hasattr(c, "get_segments"), lambda c: hasattr(c, "get_sizes"))
    )
    parts = compiled.esp_parts
    assert list(couplings.get_array()) == [1 - parts.gates.get(edge, 1.0) for edge in quito.edges]
    lost = list(qubits.get_array())
    assert lost == [1 - parts.of_qubit(q) for q in range(5)]
    assert lost[2] == lost[4] == 0  # not in use
    whole = np.prod(1 - np.array(lost)) * np.prod(1 - np.array(couplings.get_array()))
    assert whole == pytest.approx(compiled.esp)


def test_layout_map_is_that_of_the_device(quito: Device) -> None:
    compiled = compiled_on(quito, (3, 1, 0))
    assert texts(compiled.plot_layout()) == texts(plot_device(quito, compiled))


def test_timeline_has_every_gate_at_its_time(quito: Device) -> None:
    compiled = compile(qft(3), quito)
    planned = compiled.schedule
    axes = compiled.plot_timeline().axes[0]
    drawn = [
        (round(y + 0.3), round(path.vertices[:, 0].min(), 6), round(path.vertices[:, 0].max(), 6))
        for bars in axes.collections
        for path in bars.get_paths()
        for y in [path.vertices[:, 1].min()]
    ]
    used = sorted({q for step in planned.steps for q in step.qubits})
    spans = [
        (q, end, step.seconds)
        for step, end in zip(planned.steps, planned.ends, strict=True)
        for q in step.qubits
    ] + [(q, planned.ends[after] - seconds, seconds) for after, q, seconds in planned.waits]
    expected = []
    for q, end, seconds in spans:
        stop = planned.seconds - end
        expected.append((used.index(q), round(1e9 * (stop - seconds), 6), round(1e9 * stop, 6)))
    assert np.allclose(sorted(drawn), sorted(expected), atol=1e-5)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{q} (q{compiled.final_layout.index(q)})" if q in compiled.final_layout else str(q)
        for q in used
    ]
    assert pyplot.get_fignums() == []


def test_timeline_without_durations(line: LineDevice) -> None:
    device = Device.from_fake("burlington")
    assert plot_timeline(compile(Circuit(1), device)).axes[0].get_xlim() == (0, 1)
