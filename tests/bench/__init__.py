"""Measurements with the bars that they are held against. Run by hand (`make bench`); nothing here is a test."""
