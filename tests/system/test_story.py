"""The story on the site is what happens."""

from __future__ import annotations

import pytest

from bakes import REPOSITORY, BakedProject
from documents import Reader, steps_of
from live_project import free_ports

pytestmark = pytest.mark.slow


def test_five_steps_lead_from_a_local_model_to_a_loop_that_closes(project: BakedProject) -> None:
    ports = dict(zip(("airflow", "mlflow", "api"), free_ports(0, 0, 0), strict=True))
    settings = {f"MODELWORKS_STACK__{server.upper()}_PORT": str(port) for server, port in ports.items()}
    reader = Reader(project.path, settings, {":8000": f":{ports['api']}"})
    try:
        reader.follow(steps_of(REPOSITORY / "docs" / "story.md"))
    finally:
        project.run("make", "down")
