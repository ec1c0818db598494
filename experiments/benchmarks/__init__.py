"""Benchmarks: times and trials by fire that no paper asks for."""
