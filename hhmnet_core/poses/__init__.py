"""Skeletons from video: pose estimators behind one contract, tracks of people, and their clips."""
