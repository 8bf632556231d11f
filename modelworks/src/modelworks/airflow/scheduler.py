"""`airflow`, with the libraries of the stages already imported.

The scheduler's workers are its forks, and tasks are forks of these. Each would take seconds to import the same
libraries. The engine's own modules are dropped again, so that a task runs what is on the disk when it starts.
"""

import importlib
import sys

from airflow.__main__ import main

ENGINE = "modelworks"

if __name__ == "__main__":
    importlib.import_module(f"{ENGINE}.stages")
    for name in [name for name in sys.modules if name.partition(".")[0] == ENGINE]:
        del sys.modules[name]
    main()  # type: ignore[no-untyped-call]
