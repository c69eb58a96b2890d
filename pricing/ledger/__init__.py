"""Clients' money: every movement balanced, booked once, and explained."""
