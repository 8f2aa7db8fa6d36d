"""What the machine says: claim, recognise, record."""
