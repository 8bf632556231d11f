# Makes the two databases and their owners, in a pod of the cluster: nothing else reaches the server.
# PGHOST, PGUSER and PGPASSWORD are the administrator's; AIRFLOW_PASSWORD and MLFLOW_PASSWORD become those of the owners.
set -eu
: "$AIRFLOW_PASSWORD" "$MLFLOW_PASSWORD"
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_PASSWORD
\getenv mlflow_password MLFLOW_PASSWORD
create role airflow login password :'airflow_password';
create role mlflow login password :'mlflow_password';
grant airflow, mlflow to current_user; -- whom RDS makes no superuser
create database airflow owner airflow;
create database mlflow owner mlflow;
revoke connect on database airflow, mlflow from public;
SQL
