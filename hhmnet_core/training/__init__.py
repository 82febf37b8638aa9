"""Training loops as generators, on one process or on a mesh of processes."""
