"""Filters of the pages of money."""
