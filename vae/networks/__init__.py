"""Encoders, decoders and critics: pure Flax Linen modules of plain values, never the config."""

from vae.networks import critics, decoders, encoders

__all__ = ["critics", "decoders", "encoders"]
