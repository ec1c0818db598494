"""Lossless files of data by a trained model, as long as minus its bound: bits back coding."""
