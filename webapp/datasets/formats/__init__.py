"""The formats of the field, read and written as one kind of record. Nothing here knows Django."""
