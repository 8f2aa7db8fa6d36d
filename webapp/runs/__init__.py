"""Training jobs, their evaluation and comparison."""
