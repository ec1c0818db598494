"""The autoencoder of configs/cifar10_kl.py in PyTorch: the same layers, normalisation, attention.

Torch's own scaled dot-product attention, its GroupNorm, and images with their channels last, which
was faster here than channels first.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from vae.networks.attention_resnet import GROUPS, LEAST


def norm(channels: int) -> nn.Module:
    """Groups of as many channels as ours."""
    return nn.GroupNorm(math.gcd(GROUPS, max(1, channels // LEAST)), channels, eps=1e-6)


class Block(nn.Module):
    """x + two convolutions 3x3, each after a norm and an activation."""

    def __init__(self, channels: int):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [norm(channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, 1, 1)]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        """x [B, C, H, W], the same shape."""
        return x + self.body(x)


class Attention(nn.Module):
    """x + attention over all positions, of one head."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm, self.last = norm(channels), nn.Linear(channels, channels)
        self.three = nn.Linear(channels, 3 * channels)

    def forward(self, x: Any) -> Any:
        """x [B, C, H, W], the same shape."""
        inner = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.three(inner).unsqueeze(1).chunk(3, -1)
        mixed = self.last(functional.scaled_dot_product_attention(q, k, v).squeeze(1))
        return x + mixed.transpose(1, 2).reshape(x.shape)


def modules(options: Any) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder of a config's model, for images of three channels."""
    filters, latents = options.filters, options.latent_size
    encoder, decoder, wide = [], [], 3
    for width in filters:
        encoder += [nn.Conv2d(wide, width, 4, 2, 1)]
        encoder += [Block(width) for _ in range(options.blocks)]
        wide = width
    encoder += [Attention(wide), norm(wide), nn.SiLU(), nn.Conv2d(wide, 2 * latents, 1)]
    decoder += [nn.Conv2d(latents, wide, 1), Attention(wide)]
    for level in reversed(range(len(filters))):
        decoder += [Block(wide) for _ in range(options.blocks)]
        decoder += [nn.ConvTranspose2d(wide, filters[max(level - 1, 0)], 4, 2, 1)]
        wide = filters[max(level - 1, 0)]
    decoder += [norm(wide), nn.SiLU(), Scaled(wide, options.sigma)]
    both = nn.Sequential(*encoder), nn.Sequential(*decoder)
    return tuple(each.to(memory_format=torch.channels_last) for each in both)  # type: ignore


class Scaled(nn.Module):
    """The last convolution, and the one log standard deviation that is learnt beside it."""

    def __init__(self, channels: int, sigma: float):
        super().__init__()
        self.last = nn.Conv2d(channels, 3, 3, 1, 1)
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)))

    def forward(self, x: Any) -> Any:
        """Means of pixels [B, 3, H, W]."""
        return self.last(x)


def elbo(encoder: Any, decoder: Any, x: Any, beta: float) -> Any:
    """The mean of -log p(x|z) + beta * rate, of Gaussian pixels with one learnt scale."""
    x = x.contiguous(memory_format=torch.channels_last)
    mu, logvar = encoder(x).chunk(2, 1)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    log_sigma = decoder[-1].log_sigma
    apart = ((x - decoder(z)) * torch.exp(-log_sigma)).square()
    distortion = (0.5 * apart + log_sigma + 0.5 * math.log(2 * math.pi)).sum()
    rate = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum()
    return (distortion + beta * rate) / len(x)
