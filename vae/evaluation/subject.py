"""What is measured: a run, on examples of a split, and what several groups of metrics ask of it."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax

    from vae.estimators.ais import Annealing
    from vae.evaluation.trained import Trained
    from vae.scores.samples import Extractor

SEED = 0  # of every draw: the same for all runs, so that their numbers are paired
MOST_TRAINING = 60_000  # examples that features are learnt from, and memorisation is looked for in


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is measured: a run, on examples of a split."""

    run: "Trained"
    split: str
    x: np.ndarray  # [N, *shape], in the likelihood's space
    context: np.ndarray | None
    per_example: Mapping[str, np.ndarray]  # elbo and every nll_iwae_K, [N] nats
    posterior_mean: np.ndarray  # [N, L]
    key: "jax.Array"  # of SEED

    @property
    def settings(self) -> Any:
        """The run's `eval` keys."""
        return self.run.config.eval

    @property
    def annealing(self) -> "Annealing":
        """How AIS goes, from the run's `eval.ais_*` keys."""
        from vae.estimators.ais import Annealing

        s = self.settings
        return Annealing(s.ais_temperatures, s.ais_chains, s.ais_leapfrogs, s.ais_schedule)

    @functools.cached_property
    def annealed(self) -> dict[str, np.ndarray]:
        """What AIS gives of the first examples."""
        from vae.estimators import ais

        return self.apply(self.run.compiled(ais.ais, self.annealing), self.settings.ais_examples)

    @functools.cached_property
    def _training_rows(self) -> np.ndarray:
        return spread(len(self.run.seen("train")), MOST_TRAINING)

    @functools.cached_property
    def training(self) -> np.ndarray:
        """Training examples, at most MOST_TRAINING."""
        return self.run.seen("train")[self._training_rows]

    @functools.cached_property
    def extractor(self) -> "Extractor":
        """Of features: what `eval.extractor` names, or learnt from `training` and its labels."""
        from vae.scores.samples import feature_choice
        from vae.scores.samples.feature_cache import kept

        if self.settings.extractor:
            return feature_choice.extractor(self.settings.extractor)
        dataset = self.run.dataset
        labels = dataset.splits["train"].labels
        labels = None if labels is None else np.asarray(labels[self._training_rows])
        return kept(self.training, labels, dataset.name)

    def first(self, num: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The first examples, and their contexts."""
        return self.x[:num], None if self.context is None else self.context[:num]

    def apply(self, function: Any, num: int) -> Any:
        """A compiled function of the first examples."""
        x, context = self.first(num)
        return function(self.run.variables, x, self.key, self.settings.ais_batch_size, context)


def spread(count: int, num: int) -> np.ndarray:
    """Numbers of at most `num` examples, evenly over all."""
    return np.unique(np.linspace(0, count - 1, min(num, count)).astype(int))
