"""The quick start: from nothing to a trained, evaluated and reported model in under a minute."""

import importlib
import sys
import time
from pathlib import Path

import vae
from vae.reports.page import report
from vae.reports.tables import metrics_table


def quickstart(workdir: str) -> None:
    """Trains `configs/digits.py` in `workdir`, evaluates, reports, and says what to try next."""
    root = Path(vae.__file__).resolve().parent.parent
    sys.path.insert(0, str(root))  # where `configs` is
    began = time.perf_counter()
    config = importlib.import_module("configs.digits").get_config()
    vae.train(config, workdir)
    result = vae.evaluate(workdir)
    page = report(workdir)
    print(f"\n{metrics_table(result)}\n")
    seconds = time.perf_counter() - began
    print(f"on all {result['num_examples']} test digits, {seconds:.0f} s in all")
    print(f"  run directory  {workdir}")
    print(f"  report         {page}\n")
    print("next:")
    print("  ./launch.sh train --config=configs/digits.py --config.objective.beta=4.0")
    print("  ./launch.sh prepare mnist --data_dir=data   # then configs/mnist.py")
    print("  ./launch.sh --help")
