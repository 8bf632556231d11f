"""The stages, in order: load, decide, save. Each takes and returns URIs and small facts.

The command line, the DAGs and the tests call these and nothing else. A stage may be killed and started again
at any point: what it had finished is found, not made twice.
"""

from .common import newest_clean
from .data import ingest, validate
from .model import evaluate, train
from .monitoring import claim_retraining, monitor
from .release import approve, deploy, record_answer, reproduce, rollback
from .scores import score
from .search import leaderboard, search

__all__ = [
    "approve",
    "claim_retraining",
    "deploy",
    "evaluate",
    "ingest",
    "leaderboard",
    "monitor",
    "newest_clean",
    "record_answer",
    "reproduce",
    "rollback",
    "score",
    "search",
    "train",
    "validate",
]
