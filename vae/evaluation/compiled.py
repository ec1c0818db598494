"""A model's functions over whole data sets, compiled once for all runs that share the model."""

import functools
from typing import Any

import jax
import numpy as np

from vae.evaluation import ais, bounds, gaps
from vae.evaluation.aggregate import Aggregate
from vae.evaluation.batches import PerExample
from vae.models import Model, fit, initialise, variables


class Compiled:
    """What can be asked of a model, whatever its weights.

    Args:
      shape: of one example.
      masked: the runs' models have this many latents or fewer; theirs are filled up with zeros and
        masked (see `vae.models.Model`).
    """

    def __init__(self, model: Model, shape: tuple[int, ...], masked: bool = False):
        model = model.clone(critic=None)  # of training alone
        self.model, self.masked = model, masked
        self._shapes = jax.eval_shape(lambda: initialise(model, shape)) if masked else None
        self.encode = PerExample(self._encode)
        self.decode = PerExample(self._decode)
        self.draw = PerExample(self._draw)
        self.prior = PerExample(self._prior)
        self.codes = PerExample(self._codes)
        self.classify = PerExample(self._classify)
        self.predict = PerExample(self._predict)
        self.elbo = functools.cache(lambda samples=1: bounds.elbo(model, samples))
        self.iwae = functools.cache(lambda samples: bounds.iwae(model, samples))
        self.ais = functools.cache(lambda annealing: ais.ais(model, annealing))
        self.bidirectional = functools.cache(lambda annealing: ais.bidirectional(model, annealing))
        self.local_elbo = functools.cache(lambda *settings: gaps.local_elbo(model, *settings))
        self.aggregate = Aggregate(model)

    def variables(self, params: Any, latent_size: int) -> Any:
        """What the functions take first, from the weights of a model of `latent_size` latents."""
        params = {name: branch for name, branch in params.items() if name != "critic"}
        if not self.masked:
            return variables(self.model, params)
        return variables(self.model, fit(params, self._shapes), latent_size)

    def latents(self, z: np.ndarray) -> np.ndarray:
        """z [N, latent_size] as `decode` and `draw` take it: [N, the model's latents]."""
        return np.pad(z, ((0, 0), (0, self.model.latent_size - z.shape[1])))

    def _encode(self, weights: Any, x: jax.Array, keys: jax.Array) -> Any:
        q = self.model.bind(weights).encode(x)
        return q.mean, q.std

    def _decode(self, weights: Any, z: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).mean(z)

    def _codes(self, weights: Any, x: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).encode(x).indices

    def _classify(self, weights: Any, x: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).classify(x)

    def _predict(self, weights: Any, z: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).predict(z)

    def _prior(self, weights: Any, temperature: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).sample_prior(keys, temperature[:, None])

    def _draw(self, weights: Any, z: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).draw(keys, z)
