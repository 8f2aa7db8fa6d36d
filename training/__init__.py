"""Manifest in, model folder out. Knows no Django; may use classifier. `webapp` imports only `training.contract`."""
