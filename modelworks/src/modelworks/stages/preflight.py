"""What settings have to agree about with the project, checked before anything is downloaded or trained."""

from modelworks.data.splits import check_holdout
from modelworks.evaluation.limits import find_fairness_limits, find_limits
from modelworks.models import spark_training
from modelworks.models.derived import check_names
from modelworks.models.parameters import check_parameters, find_unused_parameters
from modelworks.project import Project
from modelworks.settings import Settings


def check_settings(project: Project, settings: Settings) -> None:
    """Refuse settings that a later stage would refuse.

    Raises
    ------
    ConfigError
        If [training] holdout or spark_workers, [model] type, [model.parameters], [gates.metrics] or [gates.fairness] do
        not suit the project.
    ContractError
        If [training] features names an outcome or an unknown column.
    """
    check_names(project, settings.training.features)
    check_holdout(project.contract, settings.training)
    check_parameters(project, settings.model)
    spark_training.check_settings(project, settings)
    find_limits(project.contract.target, settings.gates)
    find_fairness_limits(project.contract, settings.gates)


def find_unused_settings(project: Project, settings: Settings) -> list[str]:
    """Settings that have no effect, each with the reason: they may not be what was meant."""
    unused = []
    if names := find_unused_parameters(project, settings.model):
        unused.append(f"[model.parameters] {', '.join(names)}: not used, since {settings.model.type!r} has none such")
    if find_fairness_limits(project.contract, settings.gates) and not settings.gates.fairness.columns:
        unused.append("[gates.fairness] limits: not used, since columns names none")
    return unused
