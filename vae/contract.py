"""What every part has to do, checked on one of your own: the `check` verb.

A part is put into a small model of the default config, with random weights, and asked what the
rest of the package takes for granted: shapes and types, gradients, one result on one device and on
four, densities that integrate to one and belong to their samples. A check that fails says what was
found; one that does not apply is left out.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae import config as configs
from vae import models, parts
from vae.choices import choose
from vae.errors import RunError, UserError
from vae.networks.layers import Network
from vae.objectives import facts
from vae.probability import likelihoods, noise
from vae.probability.gaussian_posteriors import Posterior
from vae.probability.gaussian_priors import Prior
from vae.protocols import BOUND, Likelihood
from vae.training import chosen_objective, setup

BATCH, PIXELS, LEVELS, CLASSES = 8, 6, 5, 3
DEVICES = 4
DRAWS = 20_000
LARGEST = 6.0  # standard errors that a mean may be off
DATA = {  # what data of a kind look like: examples [N, D] of a generator
    "binary": lambda rng, shape: rng.integers(0, 2, shape),
    "grey": lambda rng, shape: rng.integers(0, LEVELS, shape) / (LEVELS - 1),
    "real": lambda rng, shape: rng.normal(size=shape),
    "counts": lambda rng, shape: rng.poisson(2.0, shape),
    "tokens": lambda rng, shape: rng.integers(0, LEVELS, shape),
}


class Broken(Exception):
    """A check failed; the message says what was found."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A part in a small model.

    Attributes:
      config: of the model and objective.
      x: examples [BATCH, *shape], as the likelihood's first kind of data are.
      context: [BATCH, CLASSES], where the objective needs one.
    """

    part: Any
    key: str
    config: Any
    x: np.ndarray
    context: jax.Array | None

    def model(self, latents: int = 2, dtype: str = "float32") -> models.Model:
        """The model with so many latents, whose networks compute in a type."""
        config = self.config.copy_and_resolve_references().unlock()
        config.model.latent_size, config.model.dtype = latents, dtype
        likelihood = chosen_likelihood(config)
        return models.from_config(
            config.model, self.x.shape[1:], critic=chosen_objective.critic(config), levels=LEVELS,
            kind=likelihood.kinds[0], context_size=0 if self.context is None else CLASSES,
        )  # fmt: skip

    def terms(
        self, model: models.Model, mask: int | None = None, axis: str | None = None
    ) -> Callable[..., Any]:
        """A function of params, x, keys and context that gives the objective's terms."""
        objective = chosen_objective.build(self.config)
        hyper = setup.hyperparameters(self.config) | {"num_examples": np.float32(BATCH)}

        def function(params: Any, x: Any, keys: Any, context: Any) -> Any:
            given = {name: jnp.asarray(value, x.dtype) for name, value in hyper.items()}
            variables = models.variables(model, params, mask, context)
            return objective(model.bind(variables), x, keys, given, axis)

        return function if axis else jax.jit(function)


def chosen_likelihood(config: Any) -> type[Likelihood]:
    """The likelihood that a config chooses."""
    return choose(likelihoods, config.model.likelihood, "model.likelihood")


def key_of(part: Any) -> str:
    """The key of the config that a part is for.

    Raises:
      UserError: it is no part.
    """
    if isinstance(part, type):
        if issubclass(part, Network):
            names = {field.name for field in dataclasses.fields(part)}
            return "model.decoder" if "channels" in names else "model.encoder"
        for kind, (key, _) in PLACES.items():
            if kind in part.__mro__:
                return key
    elif inspect.isfunction(part):
        return "objective.name"
    raise UserError(
        "a part is a function (an objective), or a class that inherits from Network, Posterior, "
        "Prior or Likelihood: see vae.protocols"
    )


def case_of(name: str, values: Mapping[str, Any] | None = None) -> Case:
    """A part `package.module:name` in a small model; `values` of dotted keys go with it."""
    part = parts.outside(name, "part")
    key = key_of(part)
    own = {"model.likelihood": "bernoulli", "model.hidden": (4,), "model.latent_size": 2}
    config = configs.default({**own, key: name, **_needs(part), **(values or {})}).unlock()
    kinds = chosen_likelihood(config).kinds
    config.data.binarization = "dynamic" if kinds[0] == "binary" else "none"
    shape = (PIXELS,) if kinds[0] in ("counts", "tokens", "real") else (2, 3, 1)
    x = DATA[kinds[0]](np.random.default_rng(0), (BATCH, *shape)).astype(np.float32)
    known = np.arange(BATCH) % 2 == 0
    context = None
    if config.data.context:
        context = jnp.eye(CLASSES)[np.arange(BATCH) % CLASSES] * known[:, None]
    return Case(part, key, config.lock(), x, context)


def _needs(part: Any) -> dict[str, Any]:
    """What an objective states that it needs of the rest of the config."""
    of = facts.of(part)
    found: dict[str, Any] = {}
    if of.classifier or of.regressor:
        found = {"data.context": "labels"}
        found |= {"model.classifier": "mlp"} if of.classifier else {"model.regressor": "mlp"}
    if of.codebook:
        found |= {"model.name": "vqvae", "model.codes": 4}
    return found


def weights(case: Case, model: models.Model, scale: float = 0.4) -> Any:
    """Random weights of a model."""
    shapes = jax.eval_shape(lambda: models.initialise(model, case.x.shape[1:]))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda p: scale * rng.normal(size=p.shape).astype(np.float32), shapes)


def example_keys(count: int) -> jax.Array:
    """A key an example [count]."""
    return noise.example_keys(jax.random.key(0), jnp.arange(count))


def _value_and_slope(case: Case, model: models.Model, params: Any, **options: Any) -> Any:
    function = case.terms(model, **options)

    def loss(params: Any, x: Any, keys: Any, context: Any) -> Any:
        terms = function(params, x, keys, context)
        return terms["loss"].mean(), terms

    slope = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, terms), gradient = slope(params, case.x, example_keys(BATCH), case.context)
    return terms, gradient


def shapes(case: Case) -> str:
    """Terms are numbers of each example, in float32; loss and gradient are finite and are not 0."""
    model = case.model()
    terms, gradient = _value_and_slope(case, model, weights(case, model))
    for name in ("loss", *BOUND):
        if name not in terms:
            raise Broken(f"the objective returns no {name!r}: it returns {', '.join(terms)}")
    for name, term in terms.items():
        if term.shape != (BATCH,) or term.dtype != jnp.float32:
            raise Broken(f"{name!r} is {term.dtype}{list(term.shape)}: give float32 [B]")
        if not np.isfinite(term).all():
            raise Broken(f"{name!r} is not finite")
    found = jax.tree_util.tree_leaves_with_path(gradient)
    for path, leaf in found:
        if not np.isfinite(leaf).all():
            raise Broken(f"the gradient of {jax.tree_util.keystr(path)} is not finite")
    place = case.key.partition(".")[2]
    own = jax.tree.leaves(gradient.get(place, {})) if place != "name" else [1.0]
    if own and not any(np.any(leaf) for leaf in own):
        raise Broken(f"the weights of the {place} have no gradient")
    return f"{len(terms)} terms, {len(found)} arrays of weights"


def slope(case: Case) -> str:
    """The gradient of the loss is its slope, in float64."""
    of = facts.of(chosen_objective.chosen(case.config))
    if of.critic is not None or of.codebook:
        raise _Skipped("the objective gives its parts gradients of losses of their own")
    with jax.enable_x64(True):
        model = case.model(dtype="float64")
        params = jax.tree.map(np.float64, weights(case, model))
        function = case.terms(model)
        x, keys = case.x.astype(np.float64), example_keys(BATCH)
        context = None if case.context is None else case.context.astype(jnp.float64)

        @jax.jit
        def loss(params: Any) -> Any:
            return function(params, x, keys, context)["loss"].mean()

        rng = np.random.default_rng(1)
        direction = jax.tree.map(lambda p: rng.normal(size=p.shape), params)
        gradient = jax.jit(jax.grad(loss))(params)
        along = sum(jax.tree.leaves(jax.tree.map(np.vdot, gradient, direction)))
        ahead, behind = (
            float(loss(jax.tree.map(lambda p, d: p + step * d, params, direction)))  # noqa: B023
            for step in (1e-5, -1e-5)
        )
    numeric = (ahead - behind) / 2e-5
    if abs(numeric - along) > 1e-4 * max(1.0, abs(numeric)):
        raise Broken(
            f"the slope along a random direction is {numeric:.6g} by differences and {along:.6g} "
            "by the gradient (stop_gradient, or an operation that has none?)"
        )
    return f"{along:.6g} along a random direction"


def devices(case: Case) -> str:
    """Four devices with a quarter of the batch each compute what one computes."""
    model = case.model()
    params = weights(case, model)
    one = case.terms(model)(params, case.x, example_keys(BATCH), case.context)
    split = jax.tree.map(
        lambda a: a.reshape(DEVICES, -1, *a.shape[1:]),
        (jnp.asarray(case.x), example_keys(BATCH), case.context),
    )
    function = case.terms(model, axis="device")
    every = jax.jit(jax.vmap(lambda *rows: function(params, *rows), axis_name="device"))(*split)
    for name, term in one.items():
        if not np.allclose(every[name].reshape(-1), term, rtol=1e-4, atol=1e-4):
            raise Broken(
                f"{name!r} differs between one device and {DEVICES}: a term that couples examples "
                "reduces over `axis` (vae.objectives.coupling)"
            )
    return f"{len(one)} terms"


def alone(case: Case) -> str:
    """What is said of an example depends on it and its key alone."""
    objective = facts.of(chosen_objective.chosen(case.config))
    if objective.examples > 1 or objective.codebook:
        raise _Skipped("the objective compares examples")
    model = case.model()
    function, params = case.terms(model), weights(case, model)
    whole = function(params, case.x, example_keys(BATCH), case.context)
    context = None if case.context is None else case.context[::-1]
    turned = function(params, case.x[::-1], example_keys(BATCH)[::-1], context)
    for name, term in whole.items():
        if not np.allclose(turned[name][::-1], term, rtol=1e-4, atol=1e-4):
            raise Broken(
                f"{name!r} of an example changes with the order of the batch: state examples=2 if "
                "the objective compares them"
            )
    return f"{len(whole)} terms"


def halves(case: Case) -> str:
    """Two halves of a batch, one by one, are the whole: batches can be done in parts."""
    if facts.of(chosen_objective.chosen(case.config)).couples:
        raise _Skipped("the objective needs the whole batch, and states it")
    model = case.model()
    function, params = case.terms(model), weights(case, model)
    args = jnp.asarray(case.x), example_keys(BATCH), case.context
    found = [
        function(params, *jax.tree.map(lambda a: a[rows], args))  # noqa: B023
        for rows in (slice(BATCH // 2), slice(BATCH // 2, None))
    ]
    for name, term in function(params, *args).items():
        if not np.allclose(np.mean([half[name] for half in found]), term.mean(), 1e-4, 1e-4):
            raise Broken(
                f"{name!r} of two halves is not that of the whole batch: state coupled=True"
            )
    return f"{BATCH // 2} examples and {BATCH // 2}"


def mask(case: Case) -> str:
    """A model of which some latents are masked is the smaller model: one program serves many."""
    model = case.model(3)
    if not model.maskable or not (model.posterior.maskable and model.prior.maskable):
        raise _Skipped("it says that it is not maskable")
    small_model = case.model(2)
    small = weights(case, small_model)
    large = models.fit(small, weights(case, model))
    args = case.x, example_keys(BATCH), case.context
    expected = case.terms(small_model)(small, *args)
    found = case.terms(model, mask=2)(large, *args)
    for name, term in expected.items():
        if not np.allclose(found[name], term, rtol=1e-4, atol=1e-4):
            raise Broken(f"{name!r} differs between 2 latents and 3 of which one is masked")
    return "2 of 3 latents"


def bfloat16(case: Case) -> str:
    """Networks that compute in bfloat16 give nearly the same, in float32."""
    exact, rough = case.model(), case.model(dtype="bfloat16")
    args = weights(case, exact, 0.1), case.x, example_keys(BATCH), case.context
    one, other = (case.terms(model)(*args)["loss"] for model in (exact, rough))
    if other.dtype != jnp.float32:
        raise Broken(f"the loss is {other.dtype}: leave networks through layers.widened")
    if not np.allclose(one, other, rtol=0.05, atol=0.1):
        raise Broken(f"the loss is {other.mean():.5g}, and {one.mean():.5g} in float32")
    return f"{abs(float((one - other).mean())):.2g} nats off"


def integrates(case: Case) -> str:
    """A prior's density over two latents integrates to one, and its samples have its moments."""
    model = case.model()
    bound = model.bind(models.variables(model, weights(case, model, 0.1), None, case.context))
    if not model.euclidean:
        raise _Skipped("z is not any of R^L")
    side = np.linspace(-12.0, 12.0, 241)
    points = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype(np.float32)
    density = np.exp(np.asarray(bound.log_prior(jnp.asarray(points)), np.float64))
    share = density * (side[1] - side[0]) ** 2
    if abs(share.sum() - 1.0) > 0.01:
        raise Broken(f"its density integrates to {share.sum():.4g} over [-12, 12]^2")
    z = np.asarray(bound.sample_prior(example_keys(DRAWS)), np.float64)
    for what, of in (("mean", lambda z: z), ("mean square", np.square)):
        expected, found = share @ of(points), of(z).mean(0)
        error = of(z).std(0) / np.sqrt(len(z)) + 0.01
        if (abs(found - expected) > LARGEST * error).any():
            raise Broken(f"the {what} of its samples is {found}, and of its density {expected}")
    return f"{share.sum():.4f}; {DRAWS:,} samples"


def draws(case: Case) -> str:
    """A posterior's draws have the density that they come with."""
    model = case.model()
    bound = model.bind(models.variables(model, weights(case, model), None, case.context))
    if not model.euclidean:
        raise _Skipped("z is not any of R^L")
    q = bound.encode(jnp.asarray(case.x))
    z, log_q = (np.asarray(a, np.float64) for a in q.sample_and_log_prob(
        example_keys(BATCH), 0, 4000))  # fmt: skip
    for example in range(BATCH):
        mean, spread = z[:, example].mean(0), 0.36 * np.cov(z[:, example].T)
        away = z[:, example] - mean
        inverse = np.linalg.inv(spread)
        log_g = -0.5 * (away @ inverse * away).sum(1)
        log_g -= 0.5 * np.linalg.slogdet(2.0 * np.pi * spread)[1]
        ratio = np.exp(log_g - log_q[:, example])
        error = ratio.std() / np.sqrt(len(ratio)) + 1e-3
        if abs(ratio.mean() - 1.0) > LARGEST * error:
            raise Broken(f"E[g(z) / q(z|x)] of its draws is {ratio.mean():.4g} for a density g")
    return f"{BATCH} posteriors, {len(z):,} draws each"


def normalised(case: Case) -> str:
    """A likelihood is a distribution of one pixel: it adds up to one, and its mean is its own."""
    built = case.model().likelihood
    channels = built.channels(1)
    rng = np.random.default_rng(2)
    theta = jnp.asarray(rng.normal(size=(1, 1, channels)), jnp.float32)
    theta = built.joined(theta, jnp.asarray(built.initial_scalars()))
    if built.shares or built.kinds[0] == "tokens":
        raise _Skipped("it is of whole examples")
    values, width = _values(built)
    x = jnp.asarray(values, jnp.float32)[:, None, None, None]
    log_p = built.log_prob(jnp.broadcast_to(theta, (len(x), *theta.shape)), x)
    total = float(np.exp(np.asarray(log_p, np.float64)).sum() * width)
    if abs(total - 1.0) > 0.01:
        raise Broken(f"its probabilities of one pixel add up to {total:.4g}")
    of_each = jax.vmap(built.sample, (0, None))
    drawn = np.asarray(of_each(jax.random.split(jax.random.key(0), DRAWS), theta), np.float64)
    drawn = drawn.reshape(DRAWS)
    mean = float(np.asarray(built.mean(theta)).reshape(()))
    error = drawn.std() / np.sqrt(DRAWS) + 1e-3
    if abs(drawn.mean() - mean) > LARGEST * error:
        raise Broken(f"the mean of its samples is {drawn.mean():.5g}, and its `mean` {mean:.5g}")
    return f"{total:.4f}; {DRAWS:,} samples"


def _values(likelihood: Likelihood) -> tuple[np.ndarray, float]:
    """Values that a pixel may have, and how much of the line each stands for."""
    kind = likelihood.kinds[0]
    if kind == "counts":
        return np.arange(2000.0), 1.0
    if kind == "binary":
        return np.arange(2.0), 1.0
    if likelihood.discrete:
        return np.linspace(0.0, 1.0, LEVELS), 1.0
    side = np.linspace(-200.0, 200.0, 400_001)
    return side, float(side[1] - side[0])


class _Skipped(Exception):
    """A check does not apply; the message says why."""


Check = Callable[[Case], str]
OF_ALL: tuple[Check, ...] = (shapes, slope, devices, alone, halves, mask, bfloat16)
PLACES: dict[type, tuple[str, Check]] = {  # of a base class: the key, and what is asked besides
    Prior: ("model.prior", integrates),
    Posterior: ("model.posterior", draws),
    Likelihood: ("model.likelihood", normalised),
}


def checks(case: Case) -> list[Check]:
    """Those of a part."""
    return [*OF_ALL, *(one for key, one in PLACES.values() if key == case.key)]


def check(
    name: str, values: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, bool | None, str]]:
    """Every check of a part from outside, `package.module:name`.

    Args:
      values: of dotted keys, to go with it.

    Yields:
      What was asked, whether it holds (None: it does not apply), and what was found.

    Raises:
      UserError: it is no part, or does not go with the default config.
    """
    case = case_of(name, values)
    for one in checks(case):
        asked = " ".join((one.__doc__ or "").split())
        try:
            yield asked, True, one(case)
        except _Skipped as error:
            yield asked, None, str(error)
        except Broken as error:
            yield asked, False, str(error)
        except (UserError, RunError):
            raise
        except Exception as error:  # a part may fail in any way
            lines = str(error).strip().splitlines() or [""]
            yield asked, False, f"{type(error).__name__}: {lines[0][:300]}"


def report(name: str, values: Mapping[str, Any] | None = None) -> bool:
    """Prints every check of a part as it is done; returns whether all hold."""
    holds = True
    for asked, held, found in check(name, values):
        mark = {True: "ok  ", False: "FAIL", None: "-   "}[held]
        print(f"{mark} {asked}\n     {found}", flush=True)
        holds = holds and held is not False
    return holds
