"""Actions in a camera or stream while it runs: images, poses over time, and their predictions."""
