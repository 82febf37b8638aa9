"""Skeletons as batched tensors: layouts, modalities and augmentation."""
