"""A pretended CUDA device, on which a training step is audited without a GPU.

Tensors on it are fake: they have shapes and types, but no values. See `device` and `audit`.
"""
