"""QM9's 133,885 molecules as SELFIES: a VAE of recurrent networks with a property head.

    pip install "vae[apps]"
    ./launch.sh prepare qm9 --data_dir=DATA
    ./launch.sh train --config=configs/qm9.py --config.data.dir=DATA --workdir=runs/qm9
    ./launch.sh generate --workdir=runs/qm9 --output=molecules.smi

`:smiles` takes SMILES. The latents predict QED, logP and weight (Gomez-Bombarelli et al. 2018).
"""

from ml_collections import ConfigDict

from vae.configs import base


def get_config(tokens: str = "selfies") -> ConfigDict:
    config = base.get_config()
    config.data.name = "qm9" if tokens == "selfies" else "qm9_smiles"
    config.data.binarization, config.data.context = "none", "scaled"
    config.model.encoder = config.model.decoder = "gru"
    config.model.hidden, config.model.latent_size = (256,), 32
    config.model.likelihood = "categorical_tokens"
    config.model.regressor = "mlp"
    config.model.word_dropout = 0.1
    # A weight of the rate so small leaves q(z) far from N(0, I): a prior that learns where it is.
    config.model.prior, config.model.flow_layers, config.model.flow_hidden = "realnvp", 6, (128,)
    config.objective.name = "property_vae"
    config.objective.beta = 0.1  # molecules are to come back whole
    config.objective.beta_schedule, config.objective.beta_epochs = "linear", 5.0
    config.optimizer.learning_rate, config.optimizer.clip_norm = 2e-3, 5.0
    config.train.epochs, config.train.batch_size, config.train.eval_epochs = 30, 250, 2.0
    config.eval.metrics, config.eval.checkpoint = ("molecules",), "last"
    return config
