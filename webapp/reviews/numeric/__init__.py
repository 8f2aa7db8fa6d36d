"""Arithmetic over whole projects: numpy and no rows. The web process never imports it."""
