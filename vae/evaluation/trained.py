"""A trained run as a model to use: numpy arrays in, numpy arrays out."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vae import config as configs
from vae import models, parts, run_files, runs
from vae.checkpoint import Checkpoints
from vae.columns import of_described
from vae.data import again
from vae.data.dataset import Dataset
from vae.errors import UserError, needed
from vae.estimators import bounds
from vae.estimators.batches import PerExample
from vae.estimators.compiled import Compiled
from vae.evaluation import accepted, anomaly_scores, missing_cells
from vae.evaluation.run_data import RunData
from vae.in_memory import is_frame

BATCH = 500  # examples a device holds at a time
SHARED = ("negative_binomial", "zero_inflated_negative_binomial")  # have shares of genes
PART = 50_000  # examples that are drawn, and then written, at a time
Context = np.ndarray | None


def load(
    workdir: str | Path,
    checkpoint: str | None = None,
    compiled: Compiled | None = None,
    dataset: Dataset | None = None,
) -> "Trained":
    """Loads the run in `workdir`.

    Args:
      checkpoint: "best" or "last"; by default what the run's `eval.checkpoint` says.
      compiled, dataset: what several runs share: the functions of their model, so that nothing is
        compiled anew, and their data, so that they are read once.

    Raises:
      UserError: no run there, or no checkpoint yet.
      RunError: no checkpoint of it can be read.
    """
    workdir = Path(workdir)
    config = runs.read_config(workdir)
    described = run_files.read_data(workdir)
    shape, levels = tuple(described["shape"]), described["levels"]
    kind = described["observed"]
    context_size = described["context_size"]
    first = again.never_first(described)
    runs.warn_of_changed_parts(workdir, config)
    sources = parts.origins(configs.outside(config))
    given = (config.model.to_dict(), shape, levels, kind, context_size, first)
    given += (described.get("column_kinds"),) if "column_kinds" in described else ()
    libraries = tuple(described.get("libraries", (0.0, 1.0)))
    key = json.dumps([*given, *described.get("libraries", ()), *sources.items()])

    def build() -> "models.Model":
        return models.from_config(
            config.model, shape, levels=levels, kind=kind, context_size=context_size,
            never_first=first, columns=of_described(described.get("column_kinds", ())),
            libraries=libraries,
        )  # fmt: skip

    own = Compiled(build, shape, key=key)
    weights = "ema" if config.train.ema else "params"
    template = {weights: own.shapes}
    with Checkpoints(workdir, read_only=True) as checkpoints:
        wanted = checkpoint or config.eval.checkpoint
        step = checkpoints.best_step() if wanted == "best" else None
        found = checkpoints.restore(template, step)
    if found is None:
        raise UserError(f"{workdir} holds no checkpoint yet: train it first")
    step, state = found
    run = Trained(workdir, config, described, compiled or own, state[weights], step)
    if dataset is not None:
        again.check(workdir, config, described, dataset)
        run.dataset = dataset
    return run


class Trained(RunData):
    """A trained model.

    Arrays of examples are [N, *shape] in the space that the likelihood models: zeros and ones for
    a Bernoulli, [0, 1] for grey images, whole numbers for counts and tokens, real numbers otherwise
    (`examples` gives the data so). Wrong shapes and values raise UserError.

    A conditional model's functions take the context of each example, [N, C] or, where it is labels,
    [N]; p(x), p(z) and p(x|z) are then given it.

    The mean of p(x|z) is what the likelihood calls it: the most probable ids for tokens, and shares
    that sum to 1 for a multinomial.
    """

    def __init__(
        self,
        workdir: Path,
        config: Any,
        described: dict[str, Any],
        compiled: Compiled,
        params: Any,
        step: int,
    ):
        super().__init__(workdir, config, described)
        self.compiled, self.params, self.step = compiled, params, step
        self.facts = compiled.facts
        self._densities: dict[str, Any] = {}
        # Its own, where `compiled` is of a larger model that it is a masked part of.
        masked = compiled.masked
        self.latent_size = config.model.latent_size if masked else self.facts.latent_size

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.shape))
        model, likelihood = self.config.model, self.config.model.likelihood
        return (
            f"<vae.Trained {str(self.workdir)!r}: {self.described['name']} {shape} "
            f"({self.described['observed']}), {model.encoder} encoder, {self.latent_size} latents, "
            f"{likelihood}, {self.config.objective.name}, step {self.step:,}>"
        )

    @property
    def model(self) -> "models.Model":
        """The model itself."""
        return self.compiled.model

    @functools.cached_property
    def variables(self) -> Any:
        """The compiled functions' first argument."""
        return self.compiled.variables(self.params, self.latent_size)

    def context(self, split: str = "test", num: int | None = None) -> np.ndarray | None:
        """The context of the first `num` examples of a split: [N, C]; None where there is none."""
        if not self.facts.conditional:
            return None
        return needed(self.dataset.splits[split].context, "context")[:num]

    def contexts(self, num: int, first: int = 0) -> np.ndarray | None:
        """The contexts of `num` samples to look at, from number `first` on: every class in turn, or
        those of the test examples; None where the model takes none."""
        numbers = np.arange(first, first + num)
        if self.facts.conditional and self.config.data.context == "labels":
            return numbers % self.facts.context_size
        known = self.context("test")
        return None if known is None else known[numbers % len(known)]

    def encode(self, x: Any, context: Context = None) -> tuple[Any, Any]:
        """Mean and standard deviation of q(z|x): two arrays [N, latent_size]; of a DataFrame, two
        DataFrames of its rows."""
        if is_frame(x):
            both = self.encode(self.taken(x), context)
            names = [f"z{n}" for n in range(self.latent_size)]
            return like(x, both[0], names), like(x, both[1], names)
        both = self._apply(self.compiled.encode, self.check(x), context)
        mean, std = (values[:, : self.latent_size] for values in both)
        return mean, std

    def decode(self, z: np.ndarray, context: Context = None) -> np.ndarray:
        """The mean of p(x|z): [N, *shape] for z [N, latent_size]."""
        return self._images(self._apply(self.compiled.decode, self._latents(z), context))

    def draw(
        self, z: np.ndarray, seed: int = 0, context: Context = None, first: int = 0
    ) -> np.ndarray:
        """One x of p(x|z) for each z [N, latent_size]: [N, *shape]; `first` as of `sample`."""
        z, key = self._latents(z), accepted.key(seed)
        return self._images(self._apply(self.compiled.draw, z, context, key, first=first))

    def posterior_draws(self, x: Any, seed: int = 0, context: Context = None) -> np.ndarray:
        """A draw of q(z|x) for each of x [N, *shape]: [N, latent_size]."""
        z = self._apply(self.compiled.posterior, self.check(x), context, accepted.key(seed))
        return z[:, : self.latent_size]

    def shares(self, z: np.ndarray, context: Context = None) -> np.ndarray:
        """Each gene's share of the counts of p(x|z), before any gate, for z [N, latent_size]:
        [N, D], which sum to 1: scVI's normalised expression.

        Raises:
          UserError: the likelihood is no negative binomial.
        """
        if self.config.model.likelihood not in SHARED:
            raise UserError(
                f"model.likelihood={self.config.model.likelihood!r} has no shares of genes: train "
                "with --config=configs/cells.py"
            )
        return self._apply(self.compiled.shares, self._latents(z), context)

    def classify(self, x: np.ndarray) -> np.ndarray:
        """Probabilities [N, C] of the classes, by the model's classifier.

        Raises:
          UserError: it has none.
        """
        if not self.facts.classifies:
            raise UserError("this model has no classifier: train one with model.classifier=mlp")
        x = self.check(x)
        return np.exp(self.compiled.classify(self.variables, x, accepted.key(0), BATCH))

    def predict(self, z: np.ndarray) -> np.ndarray:
        """What the model's regressor tells of z [N, latent_size]: [N, C], scaled as the context.

        Raises:
          UserError: it has none.
        """
        if not self.facts.predicts:
            raise UserError("this model has no regressor: train one with model.regressor=mlp")
        return self.compiled.predict(self.variables, self._latents(z), accepted.key(0), BATCH)

    def sample(
        self,
        num: int,
        seed: int = 0,
        temperature: float = 1.0,
        draw: bool = False,
        context: Context = None,
        first: int = 0,
        sampler: str = "prior",
        labels: np.ndarray | None = None,
        guidance: float = 1.0,
    ) -> np.ndarray:
        """New examples [num, *shape] with z from the prior, or from a density fitted to the latents
        of the training set.

        Args:
          temperature: scales the Gaussian noise that the prior's draws are made of.
          draw: draw x from p(x|z) rather than give its mean.
          first: number of the first example. Each depends on the seed and its own number alone, so
            many can be drawn in parts.
          sampler: a name of `vae.evaluation.samplers`, fitted once, when it is first asked for.
          labels: [num], of `flow_matching`, `causal` and `masked` where the data have labels: the
            class of each example; those of the context, of a model that is given labels.
          guidance: of the same: 1 draws from the classes as they are, more exaggerates them.
        """
        if sampler == "prior" and labels is None and guidance == 1.0:
            z = self._prior_draws(num, seed, temperature, context, first)
        elif temperature != 1.0:
            raise UserError(f"temperature={temperature}: only sampler='prior' has one")
        else:
            accepted.draws(num, seed, first)
            given = self.check_context(context, num)  # of labels, where a density knows it
            labels = labels if given is None else given.argmax(-1)
            z = self._latents(self.density(sampler).draws(num, seed, first, labels, guidance))
        function = self.compiled.draw if draw else self.compiled.decode
        key = jax.random.fold_in(accepted.key(seed), 1)
        return self._images(self._apply(function, z, context, key, first=first))

    @functools.cached_property
    def prior_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each latent under the prior, [latent_size] each: from 2000
        fixed draws, unless the prior is standard normal."""
        if self.facts.standard:
            return np.zeros(self.latent_size, np.float32), np.ones(self.latent_size, np.float32)
        context = self.context("test")
        context = None if context is None else np.resize(context, (2000, context.shape[1]))
        z = self._prior_draws(2000, 0, context=context)
        return z.mean(0), z.std(0)

    def density(self, sampler: str) -> Any:
        """The density of z of this name, a `Sampler`, fitted when it is first asked for."""
        from vae.evaluation import samplers

        if sampler not in self._densities:
            self._densities[sampler] = samplers.fit(self, sampler)
        return self._densities[sampler]

    def _prior_draws(
        self, num: int, seed: int, temperature: float = 1.0, context: Context = None, first: int = 0
    ) -> np.ndarray:
        """z [num, the model's latents], each a function of the seed and its number."""
        accepted.draws(num, seed, first)
        temperatures, key = np.full(num, temperature, np.float32), accepted.key(seed)
        return self._apply(self.compiled.prior, temperatures, context, key, first=first)

    def reconstruct(self, x: Any, context: Context = None) -> Any:
        """The mean of p(x|z) at the mean of q(z|x): [N, *shape]; of a DataFrame, in its units."""
        if is_frame(x):
            found = self.cells(self.reconstruct(self.taken(x), context))
            return type(x)(found, index=x.index)
        return self.decode(self.encode(x, context)[0], context)

    def impute(self, x: Any, samples: int = 1000, draws: int = 0, seed: int = 0) -> Any:
        """Fills missing cells from what is observed of each row; all others stay as they are.

        Args:
          x: a DataFrame, whose columns may be in any order, or an array [N, D] as the model sees
            it (`prepare`, `restore`), NaN where a cell is missing.
          samples: draws of z an example, for self-normalised importance sampling.
          draws: if not 0, a list of so many imputations, drawn rather than means and most probable
            levels.

        Raises:
          UserError: the run is not of `model.likelihood=columns`, or x does not fit.
        """
        seen_x = self.taken(x) if is_frame(x) else self.check(x)
        made, _ = missing_cells.filled(self, seen_x, samples, draws, seed)
        if is_frame(x):
            found = [missing_cells.frame(self, x, seen_x, each, bool(draws)) for each in made]
        else:
            found = list(made)
        return found if draws else found[0]

    def interpolate(
        self,
        first: np.ndarray,
        last: np.ndarray,
        steps: int = 8,
        contexts: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Means of p(x|z) along the line between the posterior means of two examples [*shape]:
        [steps, *shape]; a context [1, C] of each goes the same way."""
        share = np.linspace(0.0, 1.0, steps, dtype=np.float32)[:, None]
        given = (None, None) if contexts is None else contexts
        one, other = (
            self.encode(np.asarray(x)[None], c)[0]
            for x, c in zip((first, last), given, strict=True)
        )
        way = None if contexts is None else (1.0 - share) * contexts[0] + share * contexts[1]
        return self.decode((1.0 - share) * one + share * other, way)

    def elbo(
        self, x: Any, samples: int = 10, seed: int = 0, context: Context = None
    ) -> np.ndarray:
        """The evidence lower bound on log p(x), a mean over `samples` draws of z: [N] nats, of the
        numbers as the model sees them."""
        x = self.taken(x) if is_frame(x) else x
        bound = self.compiled(bounds.elbo, samples)
        return self._apply(bound, self.check(x), context, accepted.key(seed), 100)["elbo"]

    def log_likelihood(
        self, x: Any, samples: int = 100, seed: int = 0, context: Context = None
    ) -> np.ndarray:
        """The importance-weighted lower bound on log p(x) with `samples` draws: [N] nats, of the
        numbers as the model sees them."""
        x = self.taken(x) if is_frame(x) else x
        bound = self.compiled(bounds.iwae, samples)
        return self._apply(bound, self.check(x), context, accepted.key(seed), 100)

    def score_outliers(self, x: Any, context: Context = None) -> Any:
        """How unusual each example is: the higher a score, the more unusual, whichever it is.

        The scores of `detect`: `negative_elbo`, `negative_iwae`, `reconstruction`, `rate`,
        `mahalanobis`, `residual` (see `vae.evaluation.anomaly_scores`). The last two are distances
        from the run's training examples, which are read. A score is infinite where a number is too
        large for the model.

        Returns:
          Name to [N], the first four in nats; of a DataFrame, a DataFrame of its rows with a column
          a score.
        """
        if is_frame(x):
            found = self.score_outliers(self.taken(x), context)
            return like(x, np.stack(list(found.values()), axis=1), list(found))
        return anomaly_scores.bounded(self, x, context)

    def _apply(
        self,
        function: PerExample,
        values: np.ndarray,
        context: Context,
        key: jax.Array | None = None,
        batch: int = BATCH,
        first: int = 0,
    ) -> Any:
        """A compiled function of values [N, ...], each in its context."""
        key = accepted.key(0) if key is None else key
        given = self.check_context(context, len(values))
        return function(self.variables, values, key, batch, given, first)

    def check_context(self, context: Context, count: int) -> np.ndarray | None:
        """The context of `count` examples [N, C]; a UserError where it does not fit."""
        size = self.facts.context_size if self.facts.conditional else 0
        return accepted.context(context, count, size, self.config.data.context == "labels")

    def _images(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(len(values), *self.shape)

    def _latents(self, z: np.ndarray) -> np.ndarray:
        z = np.asarray(z, np.float32)
        if z.ndim != 2 or z.shape[1] != self.latent_size:
            raise UserError(f"z has shape {z.shape}; this model takes [N, {self.latent_size}]")
        return self.compiled.latents(z)

    def check(self, x: np.ndarray) -> np.ndarray:
        """x as float32 [N, *shape]; a UserError where the model cannot take it."""
        return accepted.examples(x, self.shape, self.described)


def like(frame: Any, values: np.ndarray, names: Sequence[str]) -> Any:
    """Values [N, D] as a DataFrame of another's rows."""
    return type(frame)(values, index=frame.index, columns=list(names))
