"""What a version is worth, and whether another one is better: figures, intervals, verdicts."""
