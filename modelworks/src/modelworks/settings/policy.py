"""The table [policy]: what an environment refuses that others may do."""

from modelworks.settings.base import Section


class Policy(Section):
    """What a run has to have before it writes anything; each is required in the environment `prod` unless it is false.

    The command `environments` shows which are required and which are met.
    """

    require_approval: bool | None = None
    """[gates] approval is not "never"."""
    require_remote_storage: bool | None = None
    """[storage] uri is no folder of one machine."""
    require_tracking_server: bool | None = None
    """[tracking] uri is a server or its database, and no SQLite file."""
    require_committed_code: bool | None = None
    """The code that trains, promotes and deploys is a commit, without changes."""
