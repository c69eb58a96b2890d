"""The collection that was there before: imported, kept as it is, and set beside what providers offer and charge."""
