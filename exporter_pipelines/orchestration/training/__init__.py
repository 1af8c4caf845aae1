"""Training sets as Dagster assets."""
