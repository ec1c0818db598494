"""Training objectives, one function a paper, chosen by name.

An objective is a pure function `(model, x, keys, hyper, axis) -> terms`, each term [B] in nats:

  model: a VAE bound to its parameters.
  x: [B, *shape], in the likelihood's space.
  keys: [B] threefry keys, one an example of the global batch.
  hyper: traced scalars at this step: beta, gamma, capacity, ...
  axis: name of the mapped device axis, None on one device. A term that couples the batch reduces
    over it first, so that many devices compute what one computes.

`loss` is what is minimised; `elbo`, `distortion` and `rate` are always those of beta = 1.
The caller takes the mean over the batch.
"""

from vae.objectives.elbo import capacity, elbo

__all__ = ["capacity", "elbo"]
