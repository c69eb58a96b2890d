"""Taking a whole installation away and putting it back: database, files, secrets on request, and proof of each."""
