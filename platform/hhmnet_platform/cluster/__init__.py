"""Ray: the resources there are, starting or joining it, and the workers laid out on it."""
