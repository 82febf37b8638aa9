"""Data sets: raw files, or numbers drawn on the spot, into clips; one module each."""
