"""Small real files: pictures, films, sounds, solids, archives. Each opens in the programs made for its kind."""
