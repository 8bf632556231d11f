"""What happens after a release: drift, calibration, data health, and when to retrain."""
