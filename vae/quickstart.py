"""The quick start: from nothing to a trained, evaluated and reported sweep in about a minute."""

import time

import vae
from vae.errors import typed

EPOCHS = 100  # half of the config's: nine trials in less than a minute


def quickstart(workdir: str) -> None:
    """Runs the sweep of the config `digits` in `workdir`, and says what to try next."""
    from vae.configs import digits

    began = time.perf_counter()
    config = digits.get_config()
    config.train.epochs, config.train.eval_epochs = EPOCHS, EPOCHS / 5
    vae.sweep(config, digits.get_sweep(), workdir=workdir)
    seconds = time.perf_counter() - began
    print(f"\n{seconds:.0f} s in all; each trial is an ordinary run directory\n")
    print("next:")
    for line in (
        f"report --workdir='{workdir}/trials/latent_size=8,beta=1'",
        "train --config=digits --config.objective.beta=2.0",
        "sweep --config=digits --sweep model.latent_size=4,16 --seeds=3",
        "prepare mnist --data_dir=data   # then --config=mnist --config.data.dir=data",
        "--help",
    ):
        print(f"  {typed()} {line}")
