"""Bringing jobs to their providers and back: choosing work, sending it once, looking after it."""
