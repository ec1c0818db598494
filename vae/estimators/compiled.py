"""A model's functions over whole data sets, compiled once for all runs that share the model."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from vae import programs
from vae.estimators.batches import PerExample
from vae.models import fit, initialise, variables

if TYPE_CHECKING:
    from vae.models import Model


class Facts(NamedTuple):
    """What a model is, whatever its weights: as `vae.models.Model` has it."""

    latent_size: int
    context_size: int
    conditional: bool
    standard: bool
    layers: int
    sizes: list[int]  # latents of each layer, where there are several
    kl_estimate: str
    codes: int
    streams: int
    discrete: bool  # of the likelihood, as the next
    shares: bool
    classifies: bool
    predicts: bool

    @classmethod
    def of(cls, model: "Model") -> "Facts":
        """Reads the facts off a model."""
        return cls(
            model.latent_size, model.context_size, model.conditional, model.standard, model.layers,
            list(map(int, model.sizes)) if model.layers > 1 else [], model.kl_estimate,
            model.codes, model.streams, model.likelihood.discrete, model.likelihood.shares,
            model.classifier is not None, model.regressor is not None,
        )  # fmt: skip


class Compiled:
    """What can be asked of a model, whatever its weights.

    Args:
      build: makes the model; called when it is asked for, or a function of it has to be traced.
      shape: of one example.
      masked: the runs' models have this many latents or fewer; theirs are filled up with zeros and
        masked (see `vae.models.Model`).
      key: what the model depends on, for `vae.programs`; None to keep nothing.
    """

    def __init__(
        self,
        build: "Callable[[], Model]",
        shape: tuple[int, ...],
        masked: bool = False,
        key: str | None = None,
    ):
        self._build, self._shape, self.masked, self._key = build, shape, masked, key
        self.encode = self._own("_encode")
        self.decode = self._own("_decode")
        self.draw = self._own("_draw")
        self.posterior = self._own("_posterior")
        self.shares = self._own("_shares")
        self.prior = self._own("_prior")
        self.codes = self._own("_codes")
        self.classify = self._own("_classify")
        self.predict = self._own("_predict")
        self.made = functools.cache(lambda build, *settings: build(self.model, *settings))
        self._evaluators: dict[Any, PerExample] = {}

    def __call__(self, build: Callable[..., PerExample], *settings: Any) -> PerExample:
        """The evaluator `build(model, *settings)`, made once for the same function and settings; it
        needs the model only to be traced. `made` gives what is built itself."""
        asked = build, settings
        if asked not in self._evaluators:
            name = f"{build.__module__}.{build.__qualname__}"
            self._evaluators[asked] = PerExample(
                lambda *args: self.made(build, *settings).function(*args),
                self._key and f"{name} {settings} {self._key}",
            )
        return self._evaluators[asked]

    @functools.cached_property
    def model(self) -> "Model":
        """The model without its critic, built when first asked for."""
        return self._build().clone(critic=None)  # which is of training alone

    @functools.cached_property
    def facts(self) -> Facts:
        """The model's facts; where they are kept from before, the model is not built."""
        return Facts(*programs.value("facts", self._key, lambda: Facts.of(self.model)))

    @functools.cached_property
    def shapes(self) -> Any:
        """Shapes and types of the model's weights."""

        def found() -> list[Any]:
            shapes = jax.eval_shape(lambda: initialise(self.model, self._shape))
            leaves = jax.tree_util.tree_leaves_with_path(shapes)
            return [[[k.key for k in path], a.shape, str(a.dtype)] for path, a in leaves]

        tree: dict[str, Any] = {}
        for (*branches, name), shape, dtype in programs.value("shapes", self._key, found):
            branch = tree
            for key in branches:
                branch = branch.setdefault(key, {})
            branch[name] = jax.ShapeDtypeStruct(tuple(shape), dtype)
        return tree

    def _own(self, name: str) -> PerExample:
        return PerExample(getattr(self, name), self._key and f"{name} {self._key}")

    def variables(self, params: Any, latent_size: int) -> Any:
        """The functions' first argument, from the weights of a model of `latent_size` latents."""
        params = {name: branch for name, branch in params.items() if name != "critic"}
        if not self.masked:
            return {"params": params}
        return variables(self.model, fit(params, self.shapes), latent_size)

    def latents(self, z: np.ndarray) -> np.ndarray:
        """z [N, latent_size] as `decode` and `draw` take it: [N, the model's latents]."""
        return np.pad(z, ((0, 0), (0, self.facts.latent_size - z.shape[1])))

    def _encode(self, weights: Any, x: jax.Array, keys: jax.Array) -> Any:
        q = self.model.bind(weights).encode(x)
        return q.mean, q.std

    def _decode(self, weights: Any, z: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).mean(z)

    def _posterior(self, weights: Any, x: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).encode(x).sample(keys)[0]

    def _shares(self, weights: Any, z: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.likelihood.shares_of(self.model.bind(weights).decode(z))[..., 0]

    def _codes(self, weights: Any, x: jax.Array, keys: jax.Array) -> jax.Array:
        indices = self.model.bind(weights).encode(x).indices
        return indices.reshape(len(indices), -1)

    def _classify(self, weights: Any, x: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).classify(x)

    def _predict(self, weights: Any, z: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).predict(z)

    def _prior(self, weights: Any, temperature: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).sample_prior(keys, temperature[:, None])

    def _draw(self, weights: Any, z: jax.Array, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).draw(keys, z)
