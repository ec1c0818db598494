"""Encoders and decoders: pure Flax Linen modules that take plain values, never the config."""

from vae.networks import decoders, encoders

__all__ = ["decoders", "encoders"]
