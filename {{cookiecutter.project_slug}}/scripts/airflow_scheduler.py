"""`airflow`, but for what the stages import, which is there already.

The scheduler's workers are forks of it, and tasks are forks of these. Each would take seconds to import the same
libraries. The project's own modules are forgotten again, so that a task runs what is in `src` when it starts.
"""

import sys

from airflow.__main__ import main

import {{ cookiecutter.__package_name }}.stages  # noqa: F401
from {{ cookiecutter.__package_name }}.config import PACKAGE

if __name__ == "__main__":
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    main()
