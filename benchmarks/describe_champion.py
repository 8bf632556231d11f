"""The champion's URI and columns, and the contract's example; run in the project's environment, prints JSON."""

from __future__ import annotations

import json

from modelworks.project import load_project
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION
from modelworks.settings import load_settings

if __name__ == "__main__":
    settings = load_settings()
    project = load_project(settings.home)
    tracker = Tracker(project, settings)
    champion = tracker.versions.find_alias(CHAMPION)
    assert champion, "release a model first"
    names = list(tracker.models.load(champion.model_uri).feature_names_in_)
    print(json.dumps({"model_uri": champion.model_uri, "features": names, "example": project.contract.example}))
