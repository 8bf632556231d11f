"""The project's command: the stages by hand, the stack, and what a person asks about the state.

Each command loads the project and its settings, and imports what it needs when it is called.
"""

from modelworks.cli.app import main

__all__ = ["main"]
