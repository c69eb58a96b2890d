"""How pages of Django's own write times, by language; where a language has none, Django's count."""
