"""Every key that a run has, at its default: the quick start on the UCI digits.

The other files call this one and change a few keys. docs/keys.md says what each key takes; any can
be set on the command line: `--config.objective.beta=4.0`.
"""

from vae.config import default as get_config

__all__ = ["get_config"]
