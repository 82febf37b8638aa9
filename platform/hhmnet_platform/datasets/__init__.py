"""Clip stores: building one from a data set, in parallel, and describing what one contains."""
