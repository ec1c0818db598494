"""What the latents carry, from per-example arrays."""

import numpy as np

from vae.metrics import Kind, Metric, by_name

ACTIVE_UNITS = Kind("active_units", "Active units", "none", shown="sweep")
CODES_USED = Kind("codes_used", "Codes used", "up", shown="sweep")
USAGE = Kind("code_usage", "Share of codes used", "up")
DEAD = Kind("codes_dead", "Dead codes", "down")
STREAM_USAGE = Kind("stream_{:d}_code_usage", "Share of codes used, stream {:d}", "up")
STREAM_DEAD = Kind("stream_{:d}_codes_dead", "Dead codes, stream {:d}", "down")
STREAM_PERPLEXITY = Kind("stream_{:d}_perplexity", "Codebook perplexity, stream {:d}", "up")
PERPLEXITY = Kind("codebook_perplexity", "Codebook perplexity", "up", shown="sweep")


def active_units(posterior_mean: np.ndarray, threshold: float) -> tuple[int, np.ndarray]:
    """Latents whose posterior mean varies over the data (Burda et al. 2015, section 5.2).

    Args:
      posterior_mean: E_q[z|x], [N, L].
      threshold: least variance over the N examples of an active latent.

    Returns:
      Number of active latents; the variances [L].
    """
    variance = np.asarray(posterior_mean, np.float64).var(0)
    return int((variance > threshold).sum()), variance


def codebook(
    indices: np.ndarray, codes: int
) -> tuple[dict[str, Metric], dict[str, np.ndarray]]:
    """How much of a codebook a data set uses: metrics by name, and arrays.

    Args:
      indices: codes of every example, [N, P].
      codes: there are, K.
    """
    counts = np.bincount(indices.ravel(), minlength=codes)
    over = f"of {codes}, over {len(indices):,} examples"
    return by_name(
        CODES_USED.of(int((counts > 0).sum()), unit=f"codes {over}"),
        PERPLEXITY.of(perplexity(counts), unit=f"exp of the entropy of the codes' shares, {over}"),
    ), {"code_share": counts / counts.sum()}


def usage(indices: np.ndarray, codes: int, streams: int = 1) -> dict[str, Metric]:
    """How many of the codes no example of a data set has, and how many some have.

    Args:
      indices: codes of every example, [N, P].
      codes: there are, K, of all streams.
      streams: codebooks that share them out, one after the other; each is counted by itself too.
    """
    counts = np.bincount(indices.ravel(), minlength=codes)
    over = f"codes, over {len(indices):,} examples"

    def of(counts: np.ndarray, used: Kind, dead: Kind) -> list[Metric]:
        unused = int((counts == 0).sum())
        share = 1.0 - unused / len(counts)
        return [
            used.of(share, unit=f"share of {len(counts):,} {over}"),
            dead.of(unused, unit=f"of {len(counts):,} {over}"),
        ]

    found = of(counts, USAGE, DEAD)
    for number, own in enumerate(np.split(counts, streams) if streams > 1 else (), start=1):
        unit = f"exp of the entropy of the codes' shares, of {len(own):,} {over}"
        found += of(own, STREAM_USAGE[number], STREAM_DEAD[number])
        found.append(STREAM_PERPLEXITY[number].of(perplexity(own), unit=unit))
    return by_name(*found)


def perplexity(counts: np.ndarray) -> float:
    """exp of the entropy of shares, from counts [K]: as many as would be alike in use."""
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
