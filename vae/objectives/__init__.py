"""Training objectives, one function a paper, chosen by name.

An objective is a pure function `(model, x, keys, hyper, axis, *, static) -> terms`, each term [B]
in nats:

  model: a model of `vae.models` bound to its parameters.
  x: [B, *shape], in the likelihood's space.
  keys: [B] threefry keys, one an example of the global batch. Numbers 0, 1, ... are folded in for
    independent uses (0 and 1 by `elbo.draw`); `coupling.batch_key` gives one for the whole batch.
  hyper: traced scalars at this step: beta, gamma, capacity, ...; and num_examples.
  axis: name of the mapped device axis, None on one device. A term that couples the batch reduces
    over it first, so that many devices compute what one computes.
  static: keyword-only arguments, such as the number of samples: fixed when the step is compiled,
    and read from the keys of `config.objective` of the same names.

`loss` is what is minimised; `elbo`, `distortion` and `rate` are always those of beta = 1.
The caller takes the mean over the batch. Whatever else is true of an objective, its critic, what it
needs of batch and model, the titles of its terms, is stated where it is defined: `facts.states`.
A file here exports its objectives by `__all__`.
"""

from vae.choices import collect

__all__ = collect(__name__, globals())
