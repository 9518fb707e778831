"""Estimates of a quantum computer's time: by hand, and as a guard."""

from typing import Any

import pytest
import torch

from compile import Compiled, Device, Executor, Mitigation, compile, estimate_usage
from qsim import Circuit, UsageError


def test_by_hand(quito: Device) -> None:
    compiled = compile(Circuit(1).x(0), quito, layout=(2,))
    target = quito.backend.target
    duration = target["x"][2,].duration + target["measure"][2,].duration
    usage = estimate_usage(compiled, 1000, samples=3, bases=2)
    assert usage.executions == 6000
    delay = quito.backend.configuration().default_rep_delay  # seconds
    assert usage.seconds == pytest.approx(2 + 6000 * (delay + duration), rel=1e-3)
    assert "a job costs 2 s" in str(usage)
    assert f"{usage.seconds:.1f} s for 6,000 executions" in str(usage)


def test_mitigation_costs(quito: Device) -> None:
    compiled = compile(Circuit(2).h(0).cx(0, 1), quito)
    plain = estimate_usage(compiled, 1000)
    zne = estimate_usage(compiled, 1000, mitigation=Mitigation(zne=(1, 3, 5)))
    assert zne.executions == 3 * plain.executions
    assert zne.seconds > 3 * (plain.seconds - 2) + 2
    trex = estimate_usage(compiled, 1000, mitigation=Mitigation(readout="trex"))
    assert trex.executions == 2 * plain.executions
    assert any("trex" in assumption for assumption in trex.assumptions)
    with pytest.raises(UsageError, match="the number of samples"):
        estimate_usage(compiled, 1000, samples=0)


def test_what_takes_too_long_is_not_submitted(
    service: Any, cloud: Device, compiled: Compiled
) -> None:
    inputs = torch.zeros(100, 1)
    with pytest.raises(UsageError, match=r"this would take \d+\.\d s .* more than max_seconds=5"):
        Executor(cloud, shots=8192, max_seconds=5).expval(compiled, inputs=inputs)
    assert not service.requests
    Executor(cloud, shots=10, max_seconds=5).expval(compiled, inputs=inputs[:2])
    assert service.ran()[0]["options"]["max_execution_time"] == 5
