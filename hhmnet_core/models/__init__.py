"""Skeleton encoders, the video network, and the guidance of the second by the first."""
