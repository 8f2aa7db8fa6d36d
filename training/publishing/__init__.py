"""From weights to a model folder: proven equal, calibrated, in lighter forms."""
