"""Versions on the same frozen images: evaluated by the engine that serves, then held against each other."""
