"""Code of one's own for a pipeline: features.py prepares the rows, models.py builds the estimator."""
