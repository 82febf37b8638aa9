"""Skeletons as batched tensors: layouts, modalities, augmentation."""
