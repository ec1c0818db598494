"""Scores of plain arrays, whatever model made them: samples, codes, rankings, anomaly scores."""
