"""Ships the folder configs/ as `vae.configs`; all else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["vae", "vae.*"]), "vae.configs"],
    package_dir={"vae.configs": "configs"},
)
