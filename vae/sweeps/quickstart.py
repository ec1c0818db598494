"""The quick start: from nothing to a trained, evaluated and reported sweep in about a minute."""

import importlib
import sys
import time
from pathlib import Path

import vae

EPOCHS = 100  # half of the config's: nine trials in less than a minute


def quickstart(workdir: str) -> None:
    """Runs the sweep of `configs/digits.py` in `workdir`, and says what to try next."""
    root = Path(vae.__file__).resolve().parent.parent
    sys.path.insert(0, str(root))  # where `configs` is
    began = time.perf_counter()
    digits = importlib.import_module("configs.digits")
    config = digits.get_config()
    config.train.epochs, config.train.eval_epochs = EPOCHS, EPOCHS / 5
    vae.sweep(config, digits.get_sweep(), workdir=workdir)
    seconds = time.perf_counter() - began
    print(f"\n{seconds:.0f} s in all; each trial is an ordinary run directory\n")
    print("next:")
    print(f"  ./launch.sh report --workdir='{workdir}/trials/latent_size=8,beta=1'")
    print("  ./launch.sh train --config=configs/digits.py --config.objective.beta=2.0")
    print("  ./launch.sh sweep --config=configs/digits.py --sweep model.latent_size=4,16 --seeds=3")
    print("  ./launch.sh prepare mnist --data_dir=data   # then configs/mnist.py")
    print("  ./launch.sh --help")
