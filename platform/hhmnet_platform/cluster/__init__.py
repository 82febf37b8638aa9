"""Ray: which resources there are, how to join or start it, and how workers are laid out on it."""
