"""Prices, rules and margins in Django admin; importing the rooms registers their pages."""
