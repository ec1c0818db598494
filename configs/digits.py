"""The quick start: UCI digits (1,797 images of 8x8, inside scikit-learn), dynamically binarised.

    ./launch.sh train --config=configs/digits.py --workdir=runs/digits
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    return base.get_config()
