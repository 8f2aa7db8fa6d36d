"""Asking a pipeline about the images that are there already."""
