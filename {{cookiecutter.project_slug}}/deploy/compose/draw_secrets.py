"""Print a password or a key for each server, drawn anew; `make compose` keeps them in var/compose.env."""

import base64
import secrets

for name in ("POSTGRES_PASSWORD", "S3_SECRET_KEY", "AIRFLOW_PASSWORD", "GRAFANA_PASSWORD", "AIRFLOW_SECRET_KEY"):
    print(f"{name}={secrets.token_hex(16)}")
print(f"AIRFLOW_JWT_SECRET={secrets.token_hex(32)}")
print(f"AIRFLOW_FERNET_KEY={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
