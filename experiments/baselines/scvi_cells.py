"""scVI by scvi-tools, trained and measured in a process of its own: see apps_cells.py.

    python -m experiments.baselines.scvi_cells ARRAYS.npz FOUND.npz SETTINGS

reads the counts `train`, `validation` and `test` [N, D], and writes of the weights that are best by
the validation bound `elbo` and `nll` of every test cell, and of the training `epochs`, `seconds`
and `bounds`: seconds without those of the measurement.
"""

import json
import logging
import sys
import time
import warnings
from typing import Any

import numpy as np

CELLS = 250  # at a time
EVERY = 5  # epochs between two validations


def model_of(x: np.ndarray, settings: dict[str, Any]) -> Any:
    """scVI with an observed library and a dispersion a gene, as it is by default."""
    import anndata
    import scvi

    scvi.settings.seed = settings["seed"]
    cells = anndata.AnnData(x.astype(np.float32))
    scvi.model.SCVI.setup_anndata(cells)
    return scvi.model.SCVI(
        cells, n_latent=settings["latents"], n_hidden=settings["hidden"],
        n_layers=settings["layers"], gene_likelihood=settings["likelihood"],
    )  # fmt: skip


def log_weights(module: Any, x: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """log p(x|z) and log p(x, z) / q(z|x) of draws of z: [draws, N] nats each."""
    import torch

    normal, was = torch.distributions.Normal(0.0, 1.0), module.training
    module.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(x), CELLS):
            cells = torch.tensor(x[first : first + CELLS].astype(np.float32))
            batch = torch.zeros(len(cells), 1, dtype=torch.long)
            parts = []
            for begin in range(0, draws, 10):
                q = module.inference(x=cells, batch_index=batch, n_samples=min(10, draws - begin))
                p = module.generative(z=q["z"], library=q["library"], batch_index=batch)
                log_p = p["px"].log_prob(cells).sum(-1)
                prior = normal.log_prob(q["z"]).sum(-1) - q["qz"].log_prob(q["z"]).sum(-1)
                kl = torch.distributions.kl_divergence(q["qz"], normal).sum(-1)
                parts.append(torch.stack([log_p - kl, log_p + prior], 0))
            found.append(torch.cat(parts, 1).numpy())
    module.train(was)
    return tuple(np.concatenate(found, -1))


def trained(
    model: Any, validation: np.ndarray, settings: dict[str, Any]
) -> tuple[list[int], list[float], list[float]]:
    """Trains by scvi-tools' own trainer; the weights best by the validation bound are left in the
    model. Epochs, seconds and bounds at every validation."""
    import copy

    from lightning.pytorch import Callback

    class Watch(Callback):
        epochs: list[int] = []
        seconds: list[float] = []
        bounds: list[float] = []
        aside, best = 0.0, None

        def on_train_epoch_end(self, trainer: Any, plan: Any) -> None:
            now = time.perf_counter()
            if (trainer.current_epoch + 1) % EVERY == 0:
                self.seconds.append(now - began - self.aside)
                self.epochs.append(trainer.current_epoch + 1)
                self.bounds.append(float(log_weights(model.module, validation, 10)[0].mean()))
                if self.bounds[-1] == max(self.bounds):
                    self.best = copy.deepcopy(model.module.state_dict())
            self.aside += time.perf_counter() - now

    watch, began = Watch(), time.perf_counter()
    model.train(
        max_epochs=settings["epochs"], train_size=1.0, batch_size=settings["batch"],
        plan_kwargs=settings["plan"], callbacks=[watch], enable_progress_bar=False,
        accelerator="cpu",
    )  # fmt: skip
    model.module.load_state_dict(watch.best)
    return watch.epochs, watch.seconds, watch.bounds


def main(arrays: str, output: str, text: str) -> None:
    """Trains, measures and writes."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    settings = json.loads(text)
    given = dict(np.load(arrays))
    model = model_of(given["train"], settings)
    epochs, seconds, bounds = trained(model, given["validation"], settings)
    draws = settings["draws"]
    elbo, log_w = log_weights(model.module, given["test"], draws)
    nll = np.log(draws) - np.logaddexp.reduce(log_w.astype(np.float64), axis=0)
    np.savez(output, elbo=elbo.mean(0), nll=nll, epochs=epochs, seconds=seconds, bounds=bounds)


if __name__ == "__main__":
    main(*sys.argv[1:4])
