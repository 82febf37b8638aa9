"""Trained models that stand alone: their folder, and their predictions on any clips."""
