"""Your own data: a CSV table of clips, and a file of joints for each of them."""
