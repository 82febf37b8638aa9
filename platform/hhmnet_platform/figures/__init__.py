"""Figures and terminal output of a single run."""
