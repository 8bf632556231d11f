"""The checks of [policy]: what an environment requires before anything is written. Nothing heavy is imported."""

from modelworks.checks import Check, explain, failures
from modelworks.errors import ConfigError
from modelworks.registry.lineage import find_uncommitted
from modelworks.settings import Settings
from modelworks.settings.environments import PRODUCTION

LOCAL = ("file://", "local://", "memory://")


def check_policy(settings: Settings, *, code: bool = False) -> None:
    """Refuse what the environment does not allow.

    Parameters
    ----------
    code : whether the code has to be committed as well, as where a model is made or released

    Raises
    ------
    ConfigError
        If a required check fails; names the environment, the check, its setting and what to do.
    """
    checks = judge_settings(settings)
    if code and _is_required(settings, "require_committed_code"):  # git takes a while
        checks.append(judge_code(settings))
    if broken := failures(checks):
        who = f"the environment {settings.environment}" if settings.environment else "[policy] of pipeline.toml"
        raise ConfigError(f"{who} refuses to go on: {explain(broken)}")


def judge_settings(settings: Settings) -> list[Check]:
    """Each check of a setting; one that is required is fatal."""
    storage, tracking = settings.storage_uri, settings.tracking_uri
    is_file = settings.is_mlflow_local or tracking.startswith(("sqlite:", "file:")) or "://" not in tracking
    return [
        _judge(
            settings,
            "approval",
            settings.gates.approval != "never",
            f'[gates] approval = "{settings.gates.approval}"',
            'set it to "always" or "on_warning"',
        ),
        _judge(
            settings,
            "remote storage",
            "://" in storage and not storage.startswith(LOCAL),
            f'[storage] uri = "{settings.storage.uri}"',
            "set it to a storage that all machines share, such as s3://bucket/store",
        ),
        _judge(
            settings,
            "tracking server",
            not is_file,
            f'[tracking] uri = "{settings.relative(settings.tracking_address) if settings.tracking.uri else ""}"',
            "set it, or MLFLOW_TRACKING_URI, to a server such as https://mlflow.example.com",
        ),
    ]


def judge_code(settings: Settings) -> Check:
    """Whether the code is a commit."""
    found = find_uncommitted(settings.home)
    remedy = "commit it, or run what was committed, as an image does with its GIT_COMMIT"
    return _judge(settings, "committed code", not found, found or "the code is a commit", remedy)


def _is_required(settings: Settings, key: str) -> bool:
    """Whether a check is: by its setting, or else in production."""
    switched: bool | None = getattr(settings.policy, key)
    return settings.environment == PRODUCTION if switched is None else switched


def _judge(settings: Settings, name: str, passed: bool, found: str, remedy: str) -> Check:
    key = f"require_{name.replace(' ', '_')}"
    is_required = _is_required(settings, key)
    switch = f", or set [policy] {key} = false" if is_required else ""
    return Check(name, passed, found if passed else f"{found}; {remedy}{switch}", fatal=is_required)
