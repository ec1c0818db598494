"""What an objective states of itself, beside what it computes.

Refusals, the critic and the titles of curves are read from here. A function that states nothing is
a whole objective: it needs nothing but a batch, and its terms go by their names.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from vae.keys import Key

Label = str | tuple[str, str]  # of a term in nats, or label and unit: "" for none
Objective = TypeVar("Objective", bound=Callable[..., Any])

SHARED: dict[str, Label] = {  # the terms of every objective
    "elbo": "ELBO",
    "loss": "Loss",
    "distortion": "Distortion $-E_q\\,\\log\\,p(x|z)$",
    "rate": "Rate $\\mathrm{KL}(q(z|x)\\,\\|\\,p(z))$",
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is true of an objective.

    Args:
      examples: that a batch must hold: 2 where the objective compares them.
      latents: that a model must have: 2 where the objective compares them.
      critic: builds a network z [..., L] -> logits [...], or one `of_images` [B, H, W, C], that is
        trained beside the model, as `model.critic`; its keyword-only arguments are keys of
        `config.objective`, as an objective's own are. It learns by Adam at
        objective.critic_learning_rate.
      codebook, classifier, regressor: whether it trains, and so needs, that part of the model. A
        codebook and a regressor are trained only by objectives that say so; None of a codebook:
        it goes with models that have one and with others.
      coupled: whether a term is no mean over examples, but of a statistic of the batch, such as its
        mean rate. Said by itself where the objective compares examples or trains a codebook.
      points: whether it takes z as the posterior's mean, so that the variance is not learnt.
      distance: the key of `config.objective`, if any, that names what is minimised in place of the
        distortion, where it is not "likelihood". The bounds are then of a likelihood that was not
        trained.
      terms: numbers that a run of it logs beside the SHARED ones, by name.
      keys: of `config.objective` that an objective from outside the package declares, by name.
    """

    examples: int = 1
    latents: int = 1
    critic: Callable[..., Any] | None = None
    codebook: bool | None = False
    classifier: bool = False
    regressor: bool = False
    coupled: bool = False
    points: bool = False
    distance: str = ""
    terms: Mapping[str, Label] = dataclasses.field(default_factory=dict)
    keys: Mapping[str, Key] = dataclasses.field(default_factory=dict)

    @property
    def couples(self) -> bool:
        """Whether parts of a batch, one by one, are not the batch."""
        return self.coupled or self.examples > 1 or bool(self.codebook)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of a model that it trains and needs."""
        stated = {
            "codebook": self.codebook, "classifier": self.classifier, "regressor": self.regressor
        }  # fmt: skip
        return tuple(part for part, needed in stated.items() if needed)


def states(**facts: Any) -> Callable[[Objective], Objective]:
    """A decorator that attaches `Facts` of these values to an objective."""

    def attach(objective: Objective) -> Objective:
        vars(objective).update(facts=Facts(**facts), keys=facts.get("keys", {}))
        return objective

    return attach


def of(objective: Any) -> Facts:
    """The facts of an objective; the defaults where it states none."""
    return getattr(objective, "facts", Facts())


def titles(objective: Any) -> dict[str, str]:
    """Label and unit of every term that is declared, shared ones first, by name."""
    pairs = {
        name: (label, "nats") if isinstance(label, str) else label
        for name, label in {**SHARED, **of(objective).terms}.items()
    }
    return {name: f"{text} ({unit})" if unit else text for name, (text, unit) in pairs.items()}
