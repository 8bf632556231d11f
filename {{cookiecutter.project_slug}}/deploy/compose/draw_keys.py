"""Make keys of the API, for Prometheus and for you, in the folder that is named; `make compose` calls it once."""

import hashlib
import json
import pathlib
import secrets
import sys
import time

folder = pathlib.Path(sys.argv[1])
folder.mkdir(0o700)  # closed to this machine's other users; what is mounted from it, the containers' users have to read
scopes = {"prometheus": ["read"], "me": ["predict", "explain", "read"]}
keys = {name: f"mwk_{secrets.token_urlsafe(32)}" for name in scopes}
created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
entries = [
    {"name": name, "scopes": scopes[name], "sha256": hashlib.sha256(key.encode()).hexdigest(), "created": created}
    for name, key in keys.items()
]
files = {"api/api-keys.json": json.dumps({"keys": entries}, indent=1), **{f"{name}/key": keys[name] for name in keys}}
for name, text in files.items():
    (folder / name).parent.mkdir()
    (folder / name).write_text(text)
    (folder / name).chmod(0o644)
