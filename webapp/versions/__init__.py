"""Immutable model folders, the pipelines made of them, and what is active."""
