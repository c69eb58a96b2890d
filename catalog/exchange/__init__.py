"""The catalog as a file: signed by the installation that made it, checked by the one that takes it."""
