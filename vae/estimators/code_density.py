"""Densities of codes by transformers over them: one code after the other, or many at a time.

The codes of all positions are one sequence, position by position; of a residual bottleneck all
codes of a position come next to each other, and each may only be one of its own codebook.
"""

import abc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.errors import UserError
from vae.estimators import classes, kept, learned_densities
from vae.estimators.fitted_densities import Sampler

if TYPE_CHECKING:
    import jax

BATCH = 100  # sequences a device holds at a time: logits of each code at each position


class CodeDensity(abc.ABC):
    """What both share: logits by a network, of no class, of a class, or driven towards it.

    Args:
      about: its `kind`; `codes` K, of all codebooks; `length` L of a sequence; `streams`, the
        codebooks; `classes`; `width` and `depth` of the network; and what else a kind has.
      params: of the network.
    """

    kind: str  # its network's name in `vae.networks.transformers`

    def __init__(self, about: dict[str, Any], params: Any = None):
        from vae.networks import transformers

        self.about, self.params = about, params
        self.codes, self.length, self.classes = (
            int(about[key]) for key in ("codes", "length", "classes")
        )
        self.network = getattr(transformers, self.kind)(
            self.codes, self.length, about["width"], about["depth"], classes=self.classes
        )
        book = np.arange(self.codes) // (self.codes // about["streams"])
        self.allowed = book == (np.arange(self.length) % about["streams"])[:, None]  # [L, K]

    def initial(self, key: "jax.Array") -> Any:
        """Parameters at their start."""
        import jax
        import jax.numpy as jnp

        given = jnp.zeros((1, self.length), jnp.int32), jnp.zeros(1, jnp.int32)
        return jax.jit(self.network.init)(key, *given)

    def log_p(self, given: Any, seen: "jax.Array", label: "jax.Array") -> "jax.Array":
        """log p of each code at each position, of what is seen [B, L] and label [B]: [B, L, K]."""
        import jax
        import jax.numpy as jnp

        def found(label: jax.Array) -> jax.Array:
            return jnp.asarray(self.network.apply(given["params"], seen, label))

        logits = classes.guided(given, label, self.classes, found)
        return jax.nn.log_softmax(jnp.where(self.allowed, logits, -jnp.inf))

    @abc.abstractmethod
    def loss(self, params: Any, seen: dict[str, "jax.Array"], keys: "jax.Array") -> "jax.Array":
        """What is minimised, nats a code [B], of `codes` [B, L] and `label` [B]."""

    @abc.abstractmethod
    def drawn(self, given: Any, label: "jax.Array", keys: "jax.Array") -> "jax.Array":
        """Codes [B, L] of labels and keys [B]."""

    @abc.abstractmethod
    def log_prob(self, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """log p of codes [N, L]: [N] nats.

        Raises:
          UserError: it is not known, or the codes are others.
        """

    def sampler(self) -> Sampler:
        """Its draws, codes [num, L], and log densities of codes."""
        drawn = classes.draws(self.drawn, self.params, self.classes, np.asarray, BATCH)
        return Sampler(drawn, self.log_prob, self.classes)

    def save(self, folder: Path) -> None:
        """Writes what it is into a folder, an .npy each."""
        kept.save(folder, self.about, self.params)


class Causal(CodeDensity):
    """log p(c) = sum_i log p(c_i | c_1 .. c_i-1), exactly (van den Oord et al. 2017, section 3.3).
    """

    kind = "causal"

    def loss(self, params: Any, seen: dict[str, "jax.Array"], keys: "jax.Array") -> "jax.Array":
        """-log p(c) / L."""
        label = classes.some_hidden(seen["label"], self.classes, keys)
        return -self._log_prob({"params": params}, seen["codes"], label) / self.length

    def _log_prob(self, given: Any, codes: "jax.Array", label: "jax.Array") -> "jax.Array":
        return picked(self.log_p(given, codes, label), codes).sum(-1)

    def drawn(self, given: Any, label: "jax.Array", keys: "jax.Array") -> "jax.Array":
        """One code after the other."""
        import jax
        import jax.numpy as jnp

        from vae.probability import noise

        def one_more(number: jax.Array, codes: jax.Array) -> jax.Array:
            log_p = self.log_p(given, codes, label)[:, number]
            return codes.at[:, number].set(chosen(log_p, noise.fold(keys, number)))

        start = jnp.zeros((len(label), self.length), jnp.int32)
        return jax.lax.fori_loop(0, self.length, one_more, start)

    def log_prob(self, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """log p of codes [N, L], of no class or of labels [N]: [N] nats. With the log p(x|z) of
        these codes it is a bound on log p(x)."""
        from vae.estimators.batches import PerExample
        from vae.probability import noise

        codes = np.asarray(codes)
        if codes.shape[1:] != (self.length,) or codes.dtype.kind not in "iu":
            raise UserError(f"codes of shape {codes.shape}: give whole numbers [N, {self.length}]")
        if not ((codes >= 0) & (codes < self.codes)).all():
            raise UserError(f"codes {codes.min()} to {codes.max()}: they are 0 to {self.codes - 1}")
        label = classes.checked(labels, len(codes), self.classes)
        seen = np.column_stack([codes, label]).astype(np.int32)
        found = PerExample(
            lambda params, seen, _: self._log_prob({"params": params}, seen[:, :-1], seen[:, -1])
        )
        return np.asarray(found(self.params, seen, noise.key_for(0, "evaluate"), BATCH))


class Masked(CodeDensity):
    """Any hidden codes given the others, so that many are drawn at a time (MaskGIT, Chang et al.
    2022). `about` has the number of `decoding` steps, and the `temperature` of their choice.
    """

    kind = "masked"

    def loss(self, params: Any, seen: dict[str, "jax.Array"], keys: "jax.Array") -> "jax.Array":
        """The mean of -log p of hidden codes; a share cos(pi u / 2) is hidden, u uniform (section
        3.1 and 3.3)."""
        import jax
        import jax.numpy as jnp

        from vae.probability import noise

        label = classes.some_hidden(seen["label"], self.classes, noise.fold(keys, 0))
        share = jnp.cos(0.5 * jnp.pi * jax.vmap(jax.random.uniform)(noise.fold(keys, 1)))
        count = jnp.clip(jnp.ceil(share * self.length), 1, self.length)[:, None]
        order = jax.vmap(lambda key: jax.random.permutation(key, self.length))
        hidden = order(noise.fold(keys, 2)) < count
        shown = jnp.where(hidden, self.codes, seen["codes"])
        log_p = picked(self.log_p({"params": params}, shown, label), seen["codes"])
        return -jnp.where(hidden, log_p, 0.0).sum(-1) / count[:, 0]

    def drawn(self, given: Any, label: "jax.Array", keys: "jax.Array") -> "jax.Array":
        """All hidden codes are drawn at each step, and the surest of them stay (section 3.2). How
        sure: log p of what was drawn, with Gumbel noise whose scale falls from `temperature` to 0.
        At least one stays; of a temperature above all, and as many steps as codes, one at a time in
        a random order."""
        import jax
        import jax.numpy as jnp

        from vae.probability import noise

        steps, temperature = self.about["decoding"], self.about["temperature"]

        def one_more(number: jax.Array, codes: jax.Array) -> jax.Array:
            share = (number + 1.0) / steps
            now = noise.fold(keys, number)
            log_p = self.log_p(given, codes, label)
            drawn = chosen(log_p, noise.fold(now, 0))
            loose = jax.vmap(lambda key: jax.random.gumbel(key, (self.length,)))(noise.fold(now, 1))
            hidden = codes == self.codes
            sure = picked(log_p, drawn) + temperature * (1.0 - share) * loose
            rank = jnp.argsort(jnp.argsort(jnp.where(hidden, sure, jnp.inf)))
            left = jnp.floor(self.length * jnp.cos(0.5 * jnp.pi * share))
            left = jnp.clip(left, 0, jnp.maximum(hidden.sum(-1, keepdims=True) - 1, 0))
            return jnp.where(hidden & (rank >= left), drawn, codes)

        start = jnp.full((len(label), self.length), self.codes, jnp.int32)
        return jax.lax.fori_loop(0, steps, one_more, start)

    def log_prob(self, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Not known: the draws of a step depend on which were the surest."""
        raise UserError("sampler='masked' has no log p of codes: use causal")


def picked(log_p: "jax.Array", codes: "jax.Array") -> "jax.Array":
    """log p [..., K] of codes [...]: [...]."""
    import jax.numpy as jnp

    return jnp.take_along_axis(log_p, codes[..., None], axis=-1)[..., 0]


def chosen(log_p: "jax.Array", keys: "jax.Array") -> "jax.Array":
    """A draw of log p [B, ..., K] for keys [B]: [B, ...]."""
    import jax
    import jax.numpy as jnp

    return jax.vmap(jax.random.categorical)(keys, log_p).astype(jnp.int32)


def of_arrays(arrays: dict[str, np.ndarray]) -> CodeDensity:
    """What `save` wrote, from its arrays by name."""
    about, params, _ = kept.parts(arrays)
    return {"causal": Causal, "masked": Masked}[about["kind"]](about, params)


def fit_causal(codes: np.ndarray, seed: int = 0, **settings: Any) -> CodeDensity:
    """The density of codes [N, L] in a random order, one after the other; `settings` are arguments
    of `fitted`."""
    return fitted(Causal, codes, seed, **settings)


def fit_masked(
    codes: np.ndarray,
    seed: int = 0,
    decoding: int = 12,
    temperature: float = 4.5,
    **settings: Any,
) -> CodeDensity:
    """As `fit_causal`, of hidden codes given others.

    Args:
      decoding: steps of a draw.
      temperature: of the choice of codes that stay at a step; 0: the surest.

    Raises:
      UserError: no such number of steps or temperature.
    """
    if decoding < 1 or not temperature >= 0.0:
        raise UserError(
            f"decoding={decoding} should be at least 1 and temperature={temperature:g} at least 0"
        )
    more = {"decoding": int(decoding), "temperature": float(temperature)}
    return fitted(Masked, codes, seed, more=more, **settings)


def fitted(
    kind: type[CodeDensity],
    codes: np.ndarray,
    seed: int = 0,
    labels: np.ndarray | None = None,
    number: int = 0,
    streams: int = 1,
    steps: int = 2000,
    batch: int = 64,
    rate: float = 1e-3,
    width: int = 128,
    depth: int = 3,
    average: float = 0.995,
    more: dict[str, Any] | None = None,
) -> CodeDensity:
    """A density of codes in a random order, by steps of Adam (see `learned_densities.minimised`).

    Args:
      codes: [N, L], from 0 on.
      labels: class of each example [N], from 0 on; less than 0: not known. Draws may then be of a
        class, by classifier-free guidance.
      number: K, of codes that there are; 0: up to the largest that is seen.
      streams: codebooks that take turns along a sequence; K / streams codes are of each.
      width, depth: of the network; a multiple of four, its heads.
      average: decay of the running mean of the weights, which is what is kept.
      more: what else `about` has.

    Raises:
      RunError: a loss that is not finite.
    """
    from vae.probability import noise

    codes = np.asarray(codes, np.int32)
    count, label = classes.known(labels, len(codes))
    about = {
        "kind": kind.kind, "codes": int(number or codes.max() + 1), "length": codes.shape[1],
        "streams": streams, "classes": count, "width": width, "depth": depth,
    }  # fmt: skip
    density = kind(about | (more or {}))
    density.params = learned_densities.minimised(
        density.loss, density.initial(noise.key_for(seed, "init")),
        {"codes": codes, "label": label}, seed, steps, batch, rate, average,
    )  # fmt: skip
    return density
