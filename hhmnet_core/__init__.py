"""The science of HHMNet: skeletons, encoders, losses, training. Needs torch, never Ray or MLflow."""
