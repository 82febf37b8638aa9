"""Ablations: the same training with one part changed at a time, over several seeds."""
