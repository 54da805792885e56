"""What watches refit: dashboards and rules, generated from the metric names in refit.core.metrics."""
