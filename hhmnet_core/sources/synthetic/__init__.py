"""Synthetic clips: parametric motions of a figure, recorded by a sensor and filmed in a scene."""
