"""Airflow, MLflow and the prediction API on this computer: what `make up` and its like do."""
