"""Clips, the clip store, protocols and batches."""
