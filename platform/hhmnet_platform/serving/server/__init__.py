"""A trained model served over HTTP: its deployments in Ray Serve, the application, the page."""
