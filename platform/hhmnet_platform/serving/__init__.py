"""Using trained models: finding them, predictions, tests on other data, export."""
