"""Varied pictures: steps that move boxes with the pixels, presets, copies of a whole folder."""
