"""The catalog for other installations: models, schemas, list prices and rules; no margins, clients or money."""
