"""One contestant of the benchmark in a process of its own: see benchmark.py.

    python -m experiments.benchmarks.contestants NAME STEPS IMAGES.npy [LATENTS]

prints "ready" once it is warm; then, for each line on stdin, trains STEPS steps (a 50th of them of
`images`), or evaluates STEPS images, and prints the seconds they took. When stdin ends it prints
its peak memory in MiB.
"""

import contextlib
import io
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

LATENTS = 0  # 0: the config's
DRAWS = 5000  # of the bound that is evaluated


def config(model: str) -> Any:
    """`configs/mnist.py`, the same by IWAE with the draws and batch of Burda et al. 2015, the same
    when it is evaluated, or `configs/conv_mnist.py` or `top_down_mnist.py`; `images` is
    `configs/cifar10_kl.py` by its bound alone, at a width that is the same on any machine."""
    from vae.configs import cifar10_kl, conv_mnist, mnist, top_down_mnist

    chosen = {
        "mlp": mnist, "iwae": mnist, "bound": mnist, "conv": conv_mnist, "top_down": top_down_mnist,
        "images": cifar10_kl,
    }[model].get_config()  # fmt: skip
    chosen.model.latent_size = LATENTS or chosen.model.latent_size
    if model == "images":
        chosen.model.filters, chosen.train.batch_size, chosen.train.ema = (64, 128), 64, 0.0
        chosen.objective.name, chosen.objective.beta = "elbo", 0.1
        return chosen
    chosen.model.likelihood, chosen.data.binarization = "bernoulli", "dynamic"
    if model == "iwae":
        chosen.objective.name, chosen.objective.samples = "iwae", 50
        chosen.train.batch_size = 20
    return chosen


def ours(model: str, steps: int, raw: np.ndarray) -> Callable[[], None]:
    """This project's compiled loop, as `train` calls it."""
    return trained(config(model), steps, raw)


def trained(settings: Any, steps: int, raw: np.ndarray) -> Callable[[], None]:
    """The same of any config, on images."""
    from vae.training.engine import Single
    from vae.training.feed import Feed

    program, hyper, state, split = begun(settings, raw)
    feed = Feed(split, 0, settings.train.batch_size)
    engine = Single(program, split.arrays(), "jit", steps)
    engine.put(0, state, hyper)

    def run() -> None:
        engine.run({0: feed.take(int(engine.book(0)["step"]), steps)})

    return run


def begun(settings: Any, raw: np.ndarray) -> tuple[Any, Any, Any, Any]:
    """A run before its first step: program, hyperparameters, state, and the training split."""
    from vae.data.dataset import Dataset, Split
    from vae.training import setup
    from vae.training.state import Creator

    splits = {"train": Split(raw), "validation": Split(raw[:10])}
    dataset = Dataset("random", "", "grey", 256, splits)
    program, hyper = setup.program(settings, dataset), setup.hyperparameters(settings)
    return program, hyper, Creator(program, dataset.shape)(hyper), splits["train"]


def counted(model: str, steps: int) -> int:
    """Steps of a turn: a step of images is as long as fifty others."""
    return max(1, steps // 50) if model == "images" else steps


def colours() -> np.ndarray:
    """Random images of CIFAR-10's shape, uint8 [N, 32, 32, 3]."""
    return np.random.default_rng(0).integers(0, 256, (5_000, 32, 32, 3), dtype=np.uint8)


def of_a_step(model: str, steps: int, raw: np.ndarray) -> Callable[[], None]:
    """The matrix products of so many training steps alone, one after the other, on random
    numbers."""
    import jax

    from vae.hardware import products
    from vae.training import step

    program, hyper, state, _ = begun(config(model), raw)
    batch = {"x": raw[: config(model).train.batch_size]}
    hyper = hyper | {"num_examples": np.float32(len(raw))}
    draw, made, todo = np.random.default_rng(0), {}, []
    for each in products.dots(lambda s: step.train_step(program, s, hyper, batch), state):
        shapes, numbers = tuple(a.aval.shape for a in each.invars), each.params["dimension_numbers"]
        if (shapes, numbers) not in made:
            product = jax.jit(partial(jax.lax.dot_general, dimension_numbers=numbers))
            arrays = [jax.device_put(draw.random(shape, np.float32)) for shape in shapes]
            made[shapes, numbers] = partial(product, *arrays)
        todo.append(made[shapes, numbers])
    return lambda: jax.block_until_ready([product() for product in todo * steps]) and None


def ours_bound(images: int, raw: np.ndarray) -> Callable[[], None]:
    """The importance-weighted bound of so many images, as `evaluate` calls it."""
    from vae import models
    from vae.estimators import bounds
    from vae.probability import noise

    settings = config("bound")
    model = models.from_config(settings.model, (28, 28, 1))
    variables = models.variables(model, models.initialise(model, (28, 28, 1)))
    x, key = (raw[:images] > 127).astype(np.float32), noise.key_for(0, "evaluate")
    bound = bounds.iwae(model, DRAWS)
    return lambda: bound(variables, x, key, settings.eval.batch_size) is None


def torch_modules(model: str) -> Any:
    """Encoder and decoder with the layers that the model's config asks for."""
    from torch import nn

    from experiments.benchmarks import torch_images

    options = config(model).model
    if model == "images":
        return torch_images.modules(options)
    act = {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}[options.activation]
    first, last = options.latent_size, 2 * options.latent_size
    if model != "conv":
        inner = list(pairwise((784, *options.hidden)))
        encoder = [nn.Flatten()]
        for wide, narrow in inner:
            encoder += [nn.Linear(wide, narrow), act()]
        decoder = [nn.Linear(first, options.hidden[-1])]
        for wide, narrow in reversed(inner):
            decoder += [act(), nn.Linear(narrow, wide)]
        encoder.append(nn.Linear(options.hidden[-1], last))
        decoder.append(nn.Unflatten(1, (1, 28, 28)))
        return nn.Sequential(*encoder), nn.Sequential(*decoder)
    narrow, wide = options.filters
    encoder = [nn.Conv2d(1, narrow, 4, 2, 1), act(), nn.Conv2d(narrow, wide, 4, 2, 1), act()]
    encoder.append(nn.Flatten())
    width, decoder = 49 * wide, []
    if options.dense:
        encoder += [nn.Linear(width, options.dense), act()]
        decoder += [nn.Linear(first, options.dense), act()]
    encoder.append(nn.Linear(options.dense or width, last))
    decoder += [nn.Linear(options.dense or first, width), nn.Unflatten(1, (wide, 7, 7)), act()]
    decoder += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1), act()]
    decoder.append(nn.ConvTranspose2d(narrow, 1, 4, 2, 1))
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


def torch_elbo(encoder: Any, decoder: Any, x: Any) -> Any:
    """The mean of the negative ELBO, by one draw and with the analytic KL."""
    import torch
    from torch.nn import functional

    mu, logvar = encoder(x).chunk(2, 1)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    distortion = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
    rate = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum()
    return (distortion + rate) / len(x)


def torch_iwae(encoder: Any, decoder: Any, x: Any, samples: int) -> Any:
    """The mean of the negative IWAE bound; one call decodes all draws of all examples."""
    mu, logvar = encoder(x).chunk(2, 1)
    return np.log(samples) - torch_log_weights(decoder, x, mu, logvar, samples).logsumexp(0).mean()


def torch_log_weights(decoder: Any, x: Any, mu: Any, logvar: Any, samples: int) -> Any:
    """log p(x, z) / q(z|x) of so many draws [K, B]."""
    import torch
    from torch.nn import functional

    eps = torch.randn(samples, *mu.shape)
    z = mu + torch.exp(0.5 * logvar) * eps  # [K, B, L]
    logits = decoder(z.flatten(0, 1)).view(samples, *x.shape)
    # log p(x|z): the fastest of the formulas tried, cross-entropy with logits among them.
    log_p_x = functional.logsigmoid(logits * (2 * x - 1)).flatten(2).sum(-1)
    # log p(z) - log q(z|x): the constants cancel.
    return log_p_x + 0.5 * (eps.square() + logvar - z.square()).sum(-1)


def torch_bound(images: int, raw: np.ndarray, chunk: int) -> Callable[[], None]:
    """The same bound, eager, without gradients, `chunk` draws of 100 images a call."""
    import torch

    torch.manual_seed(0)
    encoder, decoder = torch_modules("bound")
    x = torch.from_numpy(raw[:images] > 127).permute(0, 3, 1, 2).float()
    batch = config("bound").eval.batch_size

    def run() -> None:
        with torch.no_grad():
            for part in x.split(batch):
                mu, logvar = encoder(part).chunk(2, 1)
                total = torch.full((len(part),), -torch.inf)
                for _ in range(0, DRAWS, chunk):
                    log_w = torch_log_weights(decoder, part, mu, logvar, chunk)
                    total = torch.logaddexp(total, log_w.logsumexp(0))

    return run


def torch(
    model: str, steps: int, raw: np.ndarray, device: str = "cpu", compiled: bool = False
) -> Callable[[], None]:
    """A hand-written loop: data on the device as a tensor, binarised afresh, Adam; eager, or with
    its loss compiled."""
    import torch

    from experiments.benchmarks import torch_images

    torch.manual_seed(0)
    torch.set_default_device(device)
    batch, objective = config(model).train.batch_size, config(model).objective
    mean_loss = {
        "iwae": partial(torch_iwae, samples=objective.samples),
        "images": partial(torch_images.elbo, beta=objective.beta),
    }.get(model, torch_elbo)
    encoder, decoder = torch_modules(model)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3)
    data = torch.from_numpy(raw).permute(0, 3, 1, 2).contiguous().to(device)
    if compiled:
        mean_loss = torch.compile(mean_loss)
    order, at = torch.randperm(len(data)), 0

    def run() -> None:
        nonlocal order, at
        for _ in range(steps):
            if at + batch > len(data):
                order, at = torch.randperm(len(data)), 0
            x = data[order[at : at + batch]].float() / 255
            x = x if model == "images" else torch.bernoulli(x)
            at += batch
            optimizer.zero_grad(set_to_none=True)
            mean_loss(encoder, decoder, x).backward()
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def pythae(model: str, steps: int, raw: np.ndarray) -> Callable[[], None]:
    """pythae's own trainer on in-memory data, grey (it does not binarise), one epoch of `steps`."""
    import logging

    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.CRITICAL)
    body, mirror = torch_modules(model)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def forward(self, x: Any) -> Any:
            mu, logvar = self.body(x).chunk(2, 1)
            return ModelOutput(embedding=mu, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = mirror

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.body(z)))

    batch = config(model).train.batch_size
    x = torch.from_numpy(raw[: steps * batch]).permute(0, 3, 1, 2).float() / 255
    settings = VAEConfig(
        input_dim=(1, 28, 28), latent_dim=config(model).model.latent_size, reconstruction_loss="bce"
    )
    network = VAE(settings, Encoder(), Decoder())
    folder = tempfile.mkdtemp()
    plan = BaseTrainerConfig(
        output_dir=folder,
        per_device_train_batch_size=batch,
        num_epochs=1,
        learning_rate=1e-3,
        no_cuda=True,
        keep_best_on_train=True,
    )

    def run() -> None:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            BaseTrainer(network, BaseDataset(x, torch.zeros(len(x))), None, plan).train()

    return run


def ceiling(library: str) -> Callable[[], None]:
    """Ten float32 products of 1024 x 1024 matrices: 21.5 GFLOP."""
    a = np.random.default_rng(0).random((1024, 1024), np.float32)
    if library == "torch":
        import torch

        left = torch.from_numpy(a)
        return lambda: [left @ left for _ in range(10)] and None
    import jax

    product, left = jax.jit(lambda x: x @ x), jax.device_put(a)
    return lambda: jax.block_until_ready([product(left) for _ in range(10)]) and None


def main(name: str, steps: int, path: str, latents: int = 0) -> None:
    """Times a turn of a contestant for each line of standard input; prints peak memory in MiB."""
    global LATENTS
    LATENTS = latents
    kind, _, model = name.partition("-")
    if kind == "ceiling":
        run = ceiling(model)
    elif model == "bound":
        makers = {
            "ours": ours_bound,
            "torch": partial(torch_bound, chunk=100),
            "tuned": partial(torch_bound, chunk=20),  # the fastest of 5, 10, 20, 50 and 100
        }
        run = makers[kind](steps, np.load(path))
    else:
        makers = {"ours": ours, "torch": torch, "pythae": pythae, "products": of_a_step}
        raw = colours() if model == "images" else np.load(path)
        run = makers[kind](model, counted(model, steps), raw)
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        run()
        print(time.perf_counter() - began, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
