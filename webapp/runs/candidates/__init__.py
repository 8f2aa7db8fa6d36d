"""Candidates that come by themselves or by many tries: plans, trials, and the gate that says why one is not good."""
