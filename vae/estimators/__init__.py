"""Estimators of a model: bounds, AIS, gaps, q(z), and densities of its latents."""
