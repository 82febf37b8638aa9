"""Files on disk or in a bucket: workspace, run folders, checkpoints, results and score tables."""
