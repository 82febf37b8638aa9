"""Synthetic clips: parametric motions of a figure, recorded by a noisy sensor and a camera."""
