"""Figures on the machine at hand: always a ratio within one run. Run as `./osprey bench NAME`."""
