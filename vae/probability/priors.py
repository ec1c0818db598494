"""Priors p(z), chosen by name.

Each is a Flax module, whose fields are set from the config keys `model.*` of the same names, with

- `sample(keys, *given, temperature=1.0)`: one draw a key, z [B, L]; the temperature, a number or
  one an example [B, 1], scales the Gaussian noise that the draw is made of;
- `log_prob(z, *given)`: log p(z) [...] nats for z [..., L];
- `analytic`: the types of q whose KL has a closed form, which `kl(q)` gives: [B, G] nats, of G
  independent parts, the latents where it can be said of each;
- `inputs()`: examples [C, *shape] of its own, whose posterior the model gives it as `given`; None
  of most, which are given nothing;
- `takes_context`: it is given the model's context [B, C];
- `maskable`: its latents are independent, so some can be left out (see VAE);
- `standard`: mean and scale of each latent are 0 and 1.
"""

from vae.probability.flow_priors import autoregressive, realnvp, spline
from vae.probability.gaussian_priors import conditional, mixture, normal, vamp
from vae.probability.hyperspherical import sphere

__all__ = [
    "autoregressive",
    "conditional",
    "mixture",
    "normal",
    "realnvp",
    "sphere",
    "spline",
    "vamp",
]
