"""Videos of predictions: skeletons, actions and their probabilities over time."""
