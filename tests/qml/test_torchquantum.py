"""Templates and encoders as TorchQuantum runs them, where it is: CONTRIBUTING.md says how."""

from __future__ import annotations

import pytest
import torch

from qml.nn.ansatz import TEMPLATES, Template, add_template
from qml.nn.encoders import ANGLE_PRESETS, amplitudes, angle_preset
from qsim import Circuit, state

# Those that TorchQuantum 0.2.0 cannot build or run.
BROKEN = {"maxwell_0", "seth_2", "ryrycx", "ryryrycxcxcx", "ryryry", "ryryryswapswap"}
WITHOUT_BLOCKS = {"cx": "CXLayer", "cxcxcx": "CXCXCXLayer", "simple": "SimpleQLayer"}
NOT_IN_ITS_TABLE = {
    "u3cu3_0": "U3CU3Layer0",
    "cu3_0": "CU3Layer0",
    "seth_0": "SethLayer0",
    "seth_1": "SethLayer1",
}


def of(device, num_qubits):
    """TorchQuantum's states with their axes reversed: [batch, 2**n]."""
    return device.states.permute(0, *range(num_qubits, 0, -1)).reshape(-1, 2**num_qubits)


@pytest.mark.parametrize(
    "name",
    [name for name, f in TEMPLATES.items() if isinstance(f, Template) and name not in BROKEN],
)
def test_layers(tq, name):
    layers = tq.layer
    if name in WITHOUT_BLOCKS:
        module = getattr(layers, WITHOUT_BLOCKS[name])(n_wires=4)
    else:
        found = NOT_IN_ITS_TABLE.get(name)
        kind = getattr(layers, found) if found else layers.layer_name_dict[name]
        module = kind({"n_wires": 4, "n_blocks": 2})
    start = torch.rand(16) + 1j * torch.rand(16)
    start = start / start.norm()
    device = tq.QuantumDevice(n_wires=4)
    device.set_states(start.reshape(1, 2, 2, 2, 2))
    module(device)
    circuit = add_template(Circuit(4), name, blocks=1 if name in WITHOUT_BLOCKS else 2)
    weights = torch.cat([torch.empty(0), *[p.detach().flatten() for p in module.parameters()]])
    ours = state(
        circuit, weights, initial_state=start.reshape(2, 2, 2, 2).permute(3, 2, 1, 0).flatten()
    )
    torch.testing.assert_close(ours, of(device, 4)[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "name", [name for name in ANGLE_PRESETS if angle_preset(name).num_qubits < 11]
)
def test_angle_presets(tq, name):
    circuit = angle_preset(name)
    n, x = circuit.num_qubits, torch.rand(3, circuit.num_inputs)
    device = tq.QuantumDevice(n_wires=n, bsz=3)
    tq.GeneralEncoder(tq.encoder_op_list_name_dict[name])(device, x)
    torch.testing.assert_close(state(circuit, inputs=x), of(device, n), atol=1e-5, rtol=0)


def test_amplitudes(tq):
    x = torch.rand(3, 7)
    device = tq.QuantumDevice(n_wires=3, bsz=3)
    tq.StateEncoder()(device, x)
    # Its first wire is the highest bit of a number, as in ours, before the axes are reversed.
    torch.testing.assert_close(amplitudes(x, 3), device.states.reshape(3, 8))
