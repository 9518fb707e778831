"""Fewer bits for weights and activations (lectures 5 and 6)."""

from classical.quantization.adaround import adaround
from classical.quantization.affine import Affine, Scheme
from classical.quantization.binary import (
    BinaryActivation,
    BinaryWeight,
    PackedLinear,
    binary_matmul,
    pack_signs,
)
from classical.quantization.calibration import ACIQ, KL, MSE, MinMax, Percentile, fit
from classical.quantization.convert import to_integer
from classical.quantization.correction import correct_bias
from classical.quantization.equalization import equalize
from classical.quantization.folding import fold_batch_norm
from classical.quantization.haq import HAQ
from classical.quantization.inference import IntegerModule, run_integer
from classical.quantization.integer import IntegerModel
from classical.quantization.kmeans import KMeans, kmeans
from classical.quantization.layers import quantize_weights, weighted_layers
from classical.quantization.packed import pack, unpack
from classical.quantization.qat import freeze, prepare_qat
from classical.quantization.quantizers import LSQ, PACT, Rounded, Running
from classical.quantization.sensitivity import allocate_bits, measure_sensitivity, with_bits
from classical.quantization.storage import load_integer, save_integer
from classical.quantization.ternary import TernaryWeight

__all__ = [
    "ACIQ",
    "HAQ",
    "KL",
    "LSQ",
    "MSE",
    "PACT",
    "Affine",
    "BinaryActivation",
    "BinaryWeight",
    "IntegerModel",
    "IntegerModule",
    "KMeans",
    "MinMax",
    "PackedLinear",
    "Percentile",
    "Rounded",
    "Running",
    "Scheme",
    "TernaryWeight",
    "adaround",
    "allocate_bits",
    "binary_matmul",
    "correct_bias",
    "equalize",
    "fit",
    "fold_batch_norm",
    "freeze",
    "kmeans",
    "load_integer",
    "measure_sensitivity",
    "pack",
    "pack_signs",
    "prepare_qat",
    "quantize_weights",
    "run_integer",
    "save_integer",
    "to_integer",
    "unpack",
    "weighted_layers",
    "with_bits",
]
