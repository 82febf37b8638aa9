"""The clip store: clips as they are written, described, cut into shards, verified and read."""
