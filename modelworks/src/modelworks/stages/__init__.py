"""The stages, in order. Each loads, decides, saves, and returns small typed facts.

The command line, the DAGs and the tests call these and nothing else. A stage that was killed can be started again
at any point: finished work is found, not repeated.
"""

from modelworks.stages.approve import approve, record_answer
from modelworks.stages.common import newest_clean
from modelworks.stages.compare import compare
from modelworks.stages.deploy import deploy
from modelworks.stages.evaluate import evaluate
from modelworks.stages.export import export_version
from modelworks.stages.ingest import ingest
from modelworks.stages.monitor import claim_retraining, monitor
from modelworks.stages.preflight import check_settings
from modelworks.stages.promote import find_promoted, promote
from modelworks.stages.reproduce import reproduce
from modelworks.stages.rollback import describe_rollback, rollback
from modelworks.stages.rollout import advance_rollout, promote_challenger, start_rollout, stop_rollout
from modelworks.stages.score import score
from modelworks.stages.train import train
from modelworks.stages.tune import find_trials, leaderboard, tune
from modelworks.stages.validate import validate

__all__ = [
    "advance_rollout",
    "approve",
    "check_settings",
    "claim_retraining",
    "compare",
    "deploy",
    "describe_rollback",
    "evaluate",
    "export_version",
    "find_promoted",
    "find_trials",
    "ingest",
    "leaderboard",
    "monitor",
    "newest_clean",
    "promote",
    "promote_challenger",
    "record_answer",
    "reproduce",
    "rollback",
    "score",
    "start_rollout",
    "stop_rollout",
    "train",
    "tune",
    "validate",
]
