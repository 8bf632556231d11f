"""What a release is in bytes and figures, wherever it was made, so that releases of several machines can be compared.

What names a run, a version, a time or a place differs between any two releases and is left out: MLflow's `MLmodel` and
the ids of its runs, the ledger, and the URIs in manifests.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

READ = r"""
import json, tempfile
from pathlib import Path
from modelworks import load_project, load_settings
from modelworks.data import partitions
from modelworks.data.files import file_sha256
from modelworks.registry import files
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION

project, settings = load_project(Path.cwd()), load_settings(Path.cwd())
tracker = Tracker(project, settings)
champion = tracker.versions.find_alias(CHAMPION)
models = {"candidate": champion.tags["candidate_uri"], "champion": champion.model_uri}
sha256 = {}
for name, uri in models.items():
    with tempfile.TemporaryDirectory() as folder:
        sha256[name] = file_sha256(tracker.models.fetch(uri, Path(folder)))
wanted = (files.SAMPLE_FILE, files.EVALUATION_FILE, files.PERFORMANCE_FILE, files.PROFILE_FILE, files.VERDICT_FILE)
dataset = partitions.load_dataset(settings.absolute(champion.tags["dataset_uri"]))
stored = [*dataset.partitions]
for each in dataset.partitions:
    stored += partitions.find_partitions(settings.storage_uri, "raw", each.period)
    stored += partitions.find_partitions(settings.storage_uri, "quarantine", each.period)
print(json.dumps({
    "models": sha256,
    "files": {name: tracker.runs.find_json(champion.run_id, name, None) for name in wanted},
    "metrics": tracker.runs.metrics(champion.run_id),
    "dataset": dataset.digest,
    "manifests": [
        [each.layer, each.period, each.sha256, [[part.file, part.rows, part.sha256] for part in each.parts], each.facts]
        for each in stored
    ],
}))
"""


def model_files(python: str | Path, home: Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The champion of a home: SHA-256 of its two models' files, its sample, metrics and verdict, and its data.

    Parameters
    ----------
    python : of an environment that has the project and the engine
    home : whose storage and registry are read, by the settings there and in the environment
    environment : beside that of this process
    """
    # A file: with -c, Spark's thin client looks for the home of a Spark that is not there, and fails.
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(READ)
        script.flush()
        line, variables = [str(python), script.name], os.environ | (environment or {})
        done = subprocess.run(line, cwd=home, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
