"""Score tables and ways to combine and compare them."""
