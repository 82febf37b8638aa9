"""Training runs: the job, its launch on Ray Train, the workers, and the results it leaves."""
