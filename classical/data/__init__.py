"""Real images that come with packages, and downloads with checksums for who has a network."""

from classical.data.images import DATA_SETS, DataSet, Split, load_images
from classical.data.photographs import PHOTOGRAPHS, photographs

__all__ = ["DATA_SETS", "PHOTOGRAPHS", "DataSet", "Split", "load_images", "photographs"]
