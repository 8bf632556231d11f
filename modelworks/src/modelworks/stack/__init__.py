"""Airflow, MLflow and the prediction API on this computer: start, stop, follow, answer."""
