"""Evaluation: per-example arrays in nats, and the metrics made of them."""
