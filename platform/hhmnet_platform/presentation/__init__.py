"""Results for readers: shared wording, and figures as PNG images."""
