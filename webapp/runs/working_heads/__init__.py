"""Heads that learn from verdicts while people work, and are offered for suggestions once they are better."""
