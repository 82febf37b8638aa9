"""Score tables, and what becomes of several."""
