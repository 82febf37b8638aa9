"""The commands of `hhmnet`, which the scripts in `experiments/` are too."""
