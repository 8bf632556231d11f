"""The state of a project, for tests."""

from datetime import datetime

from modelworks.state.status import State, Status


def empty_state(at: datetime) -> State:
    """A project that has nothing yet."""
    status = Status("delays", None, None, [], [], "/data", "sqlite:///mlflow.db")
    return State(at=at, status=status, registry_champion=None, records=[], claims={}, claiming={}, runs=[], links={})
