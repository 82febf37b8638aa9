"""The cluster and the tracking: what runs `hhmnet_core` on Ray and shows it in MLflow."""
