"""The catalog from a cloud installation: fetched, or read from a file, checked, and taken in by an ordinary sync."""
