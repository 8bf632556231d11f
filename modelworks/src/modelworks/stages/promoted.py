"""The second half of a promotion: the copy of a version is registered, without being fitted again."""

from pydantic import TypeAdapter

from modelworks.checks import Check
from modelworks.evaluation.metrics import Report
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import EVALUATION_FILE, MODEL_CARD_FILE, ORIGIN_FOLDER, VERDICT_FILE
from modelworks.registry.promotion import PROMOTED_FROM
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.reporting import documents
from modelworks.settings import Settings
from modelworks.stages.promote import COPIED_CANDIDATE, COPIED_MODEL, read_copied

VERSION_TAGS = [
    "first_period",
    "last_period",
    "holdout_from",
    "holdout_period",
    "held_out",
    "trained_on",
    "dataset_uri",
    "data_digest",
    "contract_version",
    "candidate_uri",
    "config_digest",
    "code_commit",
]
"""Tags that a version keeps of its run, for comparing it and training it again."""


def register_copy(project: Project, settings: Settings, tracker: Tracker, run_id: str, tags: dict[str, str]) -> Version:
    """Make a version of the copied model, and make sure that it predicts its sample as it did where it was made.

    Its tags are those of the origin: what it was trained on, by which code and settings, and what it held out.
    """
    origin = read_copied(tracker, run_id)
    here = {
        "candidate_uri": tags[COPIED_CANDIDATE],
        PROMOTED_FROM: tags[PROMOTED_FROM],
        "measured_on": tags["held_out"],
    }
    description = f"{origin.name}; measured on {tags['held_out']} here; by {tags['by']}"
    version_tags = {name: origin.tags[name] for name in VERSION_TAGS} | here
    version = tracker.versions.register(run_id, tags[COPIED_MODEL], description, version_tags)
    ledger.load_version(project, tracker, version)
    card = documents.promoted_card(
        project.contract,
        f"{settings.registered_model}{settings.within}, version {version.version}",
        tracker.runs.load_text(run_id, f"{ORIGIN_FOLDER}/{MODEL_CARD_FILE}"),
        TypeAdapter(Report).validate_python(tracker.runs.load_json(run_id, EVALUATION_FILE)),
        TypeAdapter(list[Check]).validate_python(tracker.runs.load_json(run_id, VERDICT_FILE)),
        [
            ["promoted from", origin.name],
            ["its registry", origin.promoted_from.registry],
            ["its MLflow run", origin.promoted_from.run_id],
            ["SHA-256 of the model, there and here", origin.promoted_from.sha256],
            ["MLflow run", run_id],
            ["pipeline run", tags["pipeline_run"]],
            ["measured on", f"{tags['held_out']}, data digest {tags['data_digest']}"],
            ["code commit of the promotion", tags["code_commit"]],
        ],
    )
    tracker.runs.log_text(run_id, card, MODEL_CARD_FILE)
    return version
