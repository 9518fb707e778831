"""Real images that come with packages, and downloads with checksums for who has a network."""

from classical.data.cifar import cifar10
from classical.data.coco import visual_wake_words
from classical.data.downloads import Download
from classical.data.images import DATA_SETS, DataSet, Split, load_images
from classical.data.photographs import PHOTOGRAPHS, photographs

__all__ = [
    "DATA_SETS",
    "PHOTOGRAPHS",
    "DataSet",
    "Download",
    "Split",
    "cifar10",
    "load_images",
    "photographs",
    "visual_wake_words",
]
