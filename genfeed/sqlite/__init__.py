"""Django's SQLite, with writers that wait their turn in short steps."""
