"""What the DAGs of a project share: assets, defaults, sensors, the approval and notifications.

Only this package and a project's `dags/` import Airflow. The package itself imports nothing: `run` configures
Airflow before its first import.
"""
