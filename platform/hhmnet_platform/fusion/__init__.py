"""Fusing the score tables of finished runs: fixed, fitted or searched weights, and ensembles."""
