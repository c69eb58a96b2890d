"""Jobs that wait for one another: steps whose inputs name what earlier steps make."""
