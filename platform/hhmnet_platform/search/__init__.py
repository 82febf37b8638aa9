"""Hyper-parameter search over a phase, with Ray Tune and Optuna."""
