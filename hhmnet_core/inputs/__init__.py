"""Model inputs: batches of normalised skeletons and of video, cut from a set of clips."""
