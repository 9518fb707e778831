"""Networks for microcontrollers: what MCUNet teaches, as tools (lecture 10)."""

from classical.tiny.targets import TARGETS, Target

__all__ = ["TARGETS", "Target"]
