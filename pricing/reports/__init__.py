"""Reports: daily rollups, figures of periods, recommendations, and what acts on them by itself."""
