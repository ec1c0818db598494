"""Densities, divergences and noise. Every log_prob and KL ends in [B]: nats per example."""
