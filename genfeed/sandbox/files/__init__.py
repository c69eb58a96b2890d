"""Files: those that models made, those that callers uploaded, and how both are served."""
