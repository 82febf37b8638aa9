"""MLflow: the only code that reads or writes it."""
