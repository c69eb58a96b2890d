"""Budgets: reserved together with the hold, so that no race passes them; counted in periods by the client's clock."""
