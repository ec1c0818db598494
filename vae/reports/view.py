"""A trained run as pictures see it: examples, posterior means and decoding, as brightness."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae import run_files
from vae.errors import UserError
from vae.reports.summary import tightest_nll

if TYPE_CHECKING:
    from vae.data.dataset import Lazy
    from vae.evaluation.trained import Trained

MOST_EXAMPLES = 1000  # whose posterior means are looked at
REACH = 3.0  # latents run from -REACH to REACH standard deviations of the prior
MOST_CLASSES = 12  # that a picture has columns for
PLANE = 21  # points a side of the plane of two latents


def plane_axis() -> np.ndarray:
    return np.linspace(-REACH, REACH, PLANE)


def signed(value: float) -> str:
    """One decimal, commas between thousands, and a minus sign rather than a hyphen."""
    return f"{value:,.1f}".replace("-", "−")


def class_heads(run: "Trained") -> list[str]:
    """The classes that a grid of samples has a column each for, as `run.contexts` gives them by
    turns; none of a model that is given no labels, or where there are many classes."""
    if run.config.data.context != "labels" or run.contexts(1) is None:
        return []
    size = run.described["context_size"]
    return class_names(run, range(size)) if size <= MOST_CLASSES else []


def class_names(run: "Trained", labels: Iterable[Any]) -> list[str]:
    """What classes are called; by their numbers where nothing else is known."""
    names = run.described.get("classes") or ()
    return [str(dict(enumerate(names)).get(label, label)) for label in labels]


class View:
    """The first examples of a split [N, H, W, C], and what the run makes of them.

    Pictures are in [0, 1], 0 black and 1 white, but for data that are real numbers, whose extremes
    are.
    """

    def __init__(self, run: "Trained", split: str, evaluation: Mapping[str, Any] | None):
        self.run, self.split, self.evaluation = run, split, evaluation
        self.x = np.asarray(run.examples(split, MOST_EXAMPLES))
        self.context = run.context(split, len(self.x))
        self._range = brightness_range(run, self.x)

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """Of q(z|x) of each example: [N, L]."""
        return np.asarray(self.run.encode(self.x, self.context)[0])

    def means(self, most: int) -> np.ndarray:
        """Of q(z|x) of the first `most` examples, of which `mean` may have fewer: [N, L]."""
        rest = self.run.seen(self.split)[len(self.x) : most]
        if not len(rest):
            return self.mean[:most]
        context = self.run.context(self.split, most)
        given = None if context is None else context[len(self.x) :]
        return np.concatenate([self.mean, np.asarray(self.run.encode(rest, given)[0])])

    def shown(self, values: np.ndarray) -> np.ndarray:
        low, high = self._range
        return (np.asarray(values) - low) / (high - low)

    @functools.cached_property
    def grey(self) -> "Lazy | None":
        """All examples as they were before zeros and ones were made of them, as brightness; None
        where none were made, or where the data are not there any more."""
        if not self.run.described.get("binarized"):
            return None
        from vae.data import again, binarization
        from vae.data.dataset import Lazy

        config = self.run.config.copy_and_resolve_references()
        config.data.update({"binarization": "none", "context": "", "stream": True})
        try:
            dataset = again.load(Path(self.run.workdir), config, self.run.described)
        except UserError:
            return None
        raw, levels = dataset.splits[self.split].x, dataset.levels
        if raw.shape != self.run.seen(self.split).shape:
            return None
        return Lazy(lambda rows: binarization.scale(raw[rows], levels), raw.shape, np.float32)

    def inputs(self, rows: np.ndarray) -> np.ndarray:
        """Pictures of examples [R, H, W, C]: in grey, where the model sees zeros and ones."""
        if self.grey is not None:
            return self.grey[rows]
        return self.shown(np.asarray(self.run.seen(self.split)[rows]))

    def decode(self, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Pictures [R, ..., H, W, C] of z [R, ..., L], given the contexts of examples [R]."""
        given = None
        if self.context is not None:
            given = np.repeat(self.context[rows], z[0].size // z.shape[-1], axis=0)
        decoded = self.shown(self.run.decode(z.reshape(-1, z.shape[-1]), given))
        return decoded.reshape(*z.shape[:-1], *self.x.shape[1:])

    @functools.cached_property
    def standardised(self) -> np.ndarray:
        """Posterior means in the prior's standard deviations from its mean: [N, L]."""
        centre, scale = self.run.prior_moments
        return (self.mean - centre) / np.where(scale > 0, scale, 1.0)

    @functools.cached_property
    def plane(self) -> np.ndarray:
        """Of two latents, decoded at PLANE x PLANE points, the second falling: [N, H, W, C]."""
        centre, scale = self.run.prior_moments
        second, first = np.meshgrid(plane_axis()[::-1], plane_axis(), indexing="ij")
        z = centre + scale * np.stack([first, second], axis=-1).reshape(1, -1, 2)
        return self.decode(z, np.zeros(1, int))[0]

    def lines(self, starts: np.ndarray, ends: np.ndarray, steps: int) -> np.ndarray:
        """Straight lines between posterior means of examples [R]: [R, steps, L]."""
        weight = np.linspace(0.0, 1.0, steps)[:, None]
        return self.mean[starts, None] * (1 - weight) + self.mean[ends, None] * weight

    def sample(self, num: int, temperature: float = 1.0) -> np.ndarray:
        """Pictures [num, H, W, C] of z from the prior, seed 0."""
        context = self.run.contexts(num)
        return self.shown(self.run.sample(num, temperature=temperature, context=context))

    def ranking(self) -> tuple[np.ndarray, np.ndarray, str]:
        """The latents from the most active down, the score that ranks them, and what it is."""
        kl = self.evaluation.get("arrays", {}).get("kl_per_latent") if self.evaluation else None
        scores = self.mean.var(0) if kl is None else np.asarray(kl)
        order = np.argsort(-scores, kind="stable")
        return order, scores[order], "variance of the posterior mean" if kl is None else "KL (nats)"

    def active(self, most: int) -> np.ndarray:
        """At most so many latents whose posterior mean varies over the examples, best first."""
        arrays = self.evaluation.get("arrays", {}) if self.evaluation else {}
        variance = np.asarray(arrays.get("posterior_mean_variance") or self.mean.var(0))
        order = self.ranking()[0]
        return order[variance[order] > self.run.config.eval.active_threshold][:most]

    def along(self, latents: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The first example's z with one latent at a time at `values`: [len(latents), K, L].

        Values are in the prior's standard deviations from its mean.
        """
        lines = np.repeat(self.mean[:1, None], len(values), axis=1).repeat(len(latents), axis=0)
        centre, scale = (moment[latents, None] for moment in self.run.prior_moments)
        lines[np.arange(len(latents)), :, latents] = centre + scale * values
        return lines

    def labels(self, most: int = MOST_EXAMPLES) -> np.ndarray | None:
        """The class of each of the first examples, or None."""
        labels = self.run.dataset.splits[self.split].labels
        return None if labels is None else np.asarray(labels[:most])

    def arithmetic(self, num: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The first examples' posterior means, less the mean of their class and plus that of each.

        Returns:
          Classes [C] and z [num, C, L]; None where there are not 2 to 12 classes, or where the
          model is given them and z need not tell.
        """
        labels = self.labels()
        classes = np.zeros(0) if labels is None else np.unique(labels)
        if labels is None or self.context is not None or not 2 <= len(classes) <= MOST_CLASSES:
            return None
        means = np.stack([self.mean[labels == label].mean(0) for label in classes])  # [C, L]
        own = means[np.searchsorted(classes, labels[:num])]
        return classes, self.mean[:num, None] - own[:, None] + means

    def likelihoods(self) -> tuple[np.ndarray, str]:
        """A bound on log p(x) of each example, and its name.

        Those of `per_example.npz` where they are of this evaluation, the tightest of them; else the
        ELBO of the examples here.
        """
        saved = self._saved_bounds()
        if saved is not None:
            return saved
        from vae.estimators import bounds
        from vae.probability import noise  # and with it JAX: what a page shows may need none

        settings = self.run.config.eval
        key = noise.key_for(0, "evaluate")
        elbo = self.run.compiled(bounds.elbo, settings.elbo_samples)
        found = elbo(self.run.variables, self.x, key, settings.batch_size, self.context)
        return np.asarray(found["elbo"]), "ELBO"

    def _saved_bounds(self) -> tuple[np.ndarray, str] | None:
        if not self.evaluation:
            return None
        bounds = run_files.read_bounds(Path(self.run.workdir))
        tightest = tightest_nll([{"metrics": bounds}])
        if tightest:
            values = -bounds[tightest]
            name = f"IWAE bound, K = {int(tightest.rpartition('_')[2]):,}"
        else:
            values, name = bounds.get("elbo", np.zeros(0)), "ELBO"
        is_whole = len(values) == len(self.run.seen(self.split)) and np.isfinite(values).all()
        return (values, name) if is_whole else None

    def pairs_of(self, rows: np.ndarray) -> np.ndarray:
        """Examples of the whole split and their reconstructions: [len(rows), 2, H, W, C]."""
        order = np.sort(rows)
        x = np.asarray(self.run.seen(self.split)[order])
        context = self.run.context(self.split)
        given = None if context is None else np.asarray(context[order])
        both = np.stack([self.inputs(order), self.shown(self.run.reconstruct(x, given))], axis=1)
        return both[np.searchsorted(order, rows)]


def brightness_range(run: "Trained", values: np.ndarray) -> tuple[float, float]:
    """What is drawn black and white: 0 and 1, or the extremes of data that are real numbers."""
    if run.described["observed"] != "real":
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0
