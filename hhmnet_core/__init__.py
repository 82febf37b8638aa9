"""The science of HHMNet: skeletons, encoders, losses, training. Never Ray or MLflow."""
