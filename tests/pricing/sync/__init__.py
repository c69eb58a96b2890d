"""Prices from the provider to the selling price."""
