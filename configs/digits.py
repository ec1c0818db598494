"""The quick start: UCI digits (1,797 images of 8x8, inside scikit-learn), dynamically binarised.

    ./launch.sh train --config=configs/digits.py --workdir=runs/digits
"""

from configs import base
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return base.get_config()
