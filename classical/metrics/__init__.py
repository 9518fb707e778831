"""What a network costs: parameters, bytes, operations, memory, time and energy (lecture 2)."""

from classical.metrics.activations import Activations, Step, measure_activations
from classical.metrics.energy import energy
from classical.metrics.latency import Latency, compare_latency, measure_latency
from classical.metrics.macs import count_macs, macs_by_module
from classical.metrics.parameters import count_parameters, model_size_bytes
from classical.metrics.profile import LayerProfile, Profile, profile

__all__ = [
    "Activations",
    "Latency",
    "LayerProfile",
    "Profile",
    "Step",
    "compare_latency",
    "count_macs",
    "count_parameters",
    "energy",
    "macs_by_module",
    "measure_activations",
    "measure_latency",
    "model_size_bytes",
    "profile",
]
