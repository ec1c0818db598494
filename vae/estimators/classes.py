"""Classes in densities of latents: hidden in training, given and exaggerated in draws."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.errors import UserError

if TYPE_CHECKING:
    import jax

HIDDEN = 0.1  # share of a batch whose class is hidden (Ho & Salimans 2022, p_uncond)


def known(labels: np.ndarray | None, count: int) -> tuple[int, np.ndarray]:
    """The number of classes, and the class of each of `count` examples [N]: the number itself where
    there is none, or it is less than 0."""
    if labels is None:
        return 0, np.zeros(count, np.int32)
    classes = max(0, int(np.max(labels)) + 1)
    return classes, np.where(labels < 0, classes, labels).astype(np.int32)


def some_hidden(label: "jax.Array", classes: int, keys: "jax.Array") -> "jax.Array":
    """label [B], of which a share is that of no class."""
    import jax
    import jax.numpy as jnp

    return jnp.where(jax.vmap(jax.random.uniform)(keys) < HIDDEN, classes, label)


def guided(given: Any, label: "jax.Array", classes: int, found: Callable[..., Any]) -> Any:
    """v + guidance (v_label - v), v that of no class: 0 forgets the class, 1 is the class as it is,
    more exaggerates it (Ho & Salimans 2022, eq. 6, whose w is guidance - 1).

    Args:
      given: `guidance`, where it is not 1.
      found: v of labels [B].
    """
    import jax.numpy as jnp

    if "guidance" not in given:
        return found(label)
    plain = found(jnp.full_like(label, classes))
    return plain + given["guidance"] * (found(label) - plain)


def checked(labels: Any, num: int, classes: int) -> np.ndarray:
    """Labels of `num` latents [num], from 0 on; of None, that of no class.

    Raises:
      UserError: they are others.
    """
    if labels is None:
        return np.full(num, classes, np.int32)
    labels = np.asarray(labels)
    if labels.shape != (num,) or labels.dtype.kind not in "iu":
        raise UserError(f"labels of shape {labels.shape}: give whole numbers [{num}]")
    if not ((labels >= 0) & (labels < classes)).all():
        among = f"are 0 to {classes - 1}" if classes else "were not given to fit to"
        raise UserError(f"labels {labels.min()} to {labels.max()}: the known ones {among}")
    return labels.astype(np.int32)


def draws(
    drawn: Callable[..., "jax.Array"],
    params: Any,
    classes: int,
    finish: Callable[[np.ndarray], np.ndarray],
    batch: int,
) -> Callable[..., np.ndarray]:
    """The `sample` of a `Sampler` that has classes.

    Args:
      drawn: (`params` and maybe `guidance`, label [B], keys [B]) -> [B, ...].
      finish: makes z [num, L] of them.
      batch: draws that a device holds at a time.
    """
    from vae.estimators.batches import PerExample
    from vae.probability import noise

    compiled = PerExample(drawn)

    def sample(
        num: int,
        seed: int = 0,
        first: int = 0,
        labels: np.ndarray | None = None,
        guidance: float = 1.0,
    ) -> np.ndarray:
        if not np.isfinite(guidance):
            raise UserError(f"guidance={guidance}: give a number, 1 for classes as they are")
        given = {"params": params}
        if labels is not None and guidance != 1.0:
            given["guidance"] = np.float32(guidance)
        key, label = noise.key_for(seed, "sample"), checked(labels, num, classes)
        return finish(compiled(given, label, key, batch, None, first))

    return sample
