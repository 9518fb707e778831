"""Circuits to learn from and to be tested on: random ones and known algorithms, compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from compile import Compiled, Device, compile
from qml.nn.ansatz import add_template
from qsim import Circuit, library

DEVICES = (
    *("FakeQuitoV2", "FakeBelemV2", "FakeLimaV2", "FakeYorktownV2", "FakeSantiagoV2"),
    *("FakeJakartaV2", "FakeGuadalupeV2", "FakeKolkataV2", "FakeTorino", "FakeManilaV2"),
    *("FakeBogotaV2", "FakeMontrealV2", "FakeSherbrooke", "FakeBrisbane", "FakeFez"),
)
"""What the predictor is trained for: every gate set and size that IBM's snapshots have."""
UNSEEN_DEVICES = ("FakeAthensV2", "FakeNairobiV2", "FakeHanoiV2", "FakeKyiv")
"""Devices that tell how well it does on others."""
GATES = ("rx", "ry", "rz", "h", "x", "t", "u3", "cx", "cz", "cu3", "rzz", "swap")
"""What random circuits are made of before they are compiled."""
_MAX_QUBITS, _MAX_DEPTH = 6, 24


def random_compiled(device: Device, rng: np.random.Generator) -> Compiled:
    """A random circuit of 2 to 6 qubits on random connected qubits of the device."""
    while True:
        num_qubits = int(rng.integers(2, min(_MAX_QUBITS, device.num_qubits) + 1))
        depth = round(np.exp(rng.uniform(0, np.log(_MAX_DEPTH))))
        seed, level = int(rng.integers(2**31)), int(rng.integers(1, 4))
        circuit = library.random_circuit(num_qubits, depth, seed=seed, gates=GATES)
        layout = _connected(device, num_qubits, rng)
        if layout is not None:
            return compile(circuit, device, layout=layout, level=level, seed=seed)


def _connected(device: Device, count: int, rng: np.random.Generator) -> list[int] | None:
    """Qubits that grow together along couplings from one chosen at random; None if too few."""
    chosen = [int(rng.choice(np.unique(device.edges)))]
    while len(chosen) < count:
        near = {q for edge in device.edges if len(set(edge) & set(chosen)) == 1 for q in edge}
        free = sorted(near - set(chosen))
        if not free:
            return None
        chosen.append(int(rng.choice(free)))
    return chosen


def algorithms(num_qubits: int) -> dict[str, Circuit]:
    """Known circuits by name."""
    n, rng = num_qubits, np.random.default_rng(num_qubits)
    chain = [(q, q + 1) for q in range(n - 1)]
    ghz, hidden, ising, qaoa = Circuit(n).h(0), Circuit(n), Circuit(n), Circuit(n)
    for a, b in chain:
        ghz.cx(a, b)
    hidden.h(range(n)).z(n - 1)
    for q in range(n - 1):
        hidden.cx(q, n - 1)
    hidden.h(range(n))
    qaoa.h(range(n))
    for _ in range(3):
        for a, b in [*chain, (n - 1, 0)] if n > 2 else chain:
            qaoa.rzz(0.7, a, b)
        qaoa.rx(0.4, range(n))
        for a, b in chain:
            ising.rzz(0.2, a, b)
        ising.rx(0.3, range(n))
    trained = {
        name: add_template(Circuit(n), name, **{option: 3})
        for name, option in (("real_amplitudes", "reps"), ("u3cu3_0", "blocks"))
    }
    return {
        "ghz": ghz,
        "bernstein_vazirani": hidden,
        "qft": library.qft(n),
        "inverse_qft": library.qft(n).inverse(),
        "qaoa": qaoa,
        "ising": ising,
        **{
            name: circuit.bind(weights=torch.from_numpy(rng.uniform(-3, 3, circuit.num_weights)))
            for name, circuit in trained.items()
        },
    }


def algorithm_circuits(
    devices: Sequence[str] = DEVICES, widths: Sequence[int] = (3, 4, 5)
) -> Iterator[tuple[str, Compiled, Device]]:
    """Known circuits with the qubits that Qiskit chooses, and the devices they are compiled for."""
    for machine in map(Device.from_name, devices):
        for n in widths:
            for name, circuit in algorithms(n).items():
                yield name, compile(circuit, machine, seed=0), machine
