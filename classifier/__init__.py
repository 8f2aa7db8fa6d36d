"""Pictures in, typed predictions out. Knows no Django, no training."""
