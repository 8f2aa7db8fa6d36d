"""Frozen data: snapshots, importers, exporters."""
