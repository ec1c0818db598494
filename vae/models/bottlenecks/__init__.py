"""Bottlenecks of an autoencoder with latents in space: what a position's numbers become.

Each takes the raw numbers of P positions [B, P, `width`] and gives a q(z|x) of B examples, z being
[B, P D]. A continuous one is a Gaussian; the others have a finite number of codes, and p(z) is
uniform over them, so that the rate is their length in nats: `indices` [B, P, streams], each the
number of one of `codes`. The rotation trick (Fifty et al. 2024) replaces the straight-through
gradient of those that look codes up.

A file here exports its bottlenecks by `__all__`.
"""

from vae.choices import collect

__all__ = collect(__name__, globals())
