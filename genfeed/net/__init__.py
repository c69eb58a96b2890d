"""Fetching from addresses that somebody else names. Pure ground: knows neither the apps nor the framework."""
