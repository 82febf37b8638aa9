"""Data sets: readers that turn raw files or drawn motions into clips."""
