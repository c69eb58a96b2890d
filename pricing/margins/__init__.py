"""How price follows from cost: margin rules, their scopes, dates and previews."""
