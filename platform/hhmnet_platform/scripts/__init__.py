"""Scripts: how they start and end, and how they parse their command lines."""
