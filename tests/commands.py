"""Commands in processes of their own, forked from one that has imported what they import.

A new interpreter imports for three seconds before a command does anything. What is tested is a process all the same,
with its arguments, environment, standard streams and exit status.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

# A server that does nothing but import: it has no project, connection or thread, which forks would share. Frameworks of
# macOS break in a fork.
SERVER = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "forkserver")
# The main module is pytest's, which each fork would import otherwise; Airflow reads its settings when it is imported.
SERVER.set_forkserver_preload([
    "__main__",
    "mlflow",
    "modelworks.cli.app",
    "modelworks.stages",
    "modelworks.state.printing",
])


def call(*words: str) -> CompletedProcess[str]:
    """Run the command line, with nothing on its standard input."""
    return run_python("-m", "modelworks", *words)


def run_python(*words: str) -> CompletedProcess[str]:
    """Run what `python -m MODULE ...` or `python -c PROGRAM ...` would; the modules of tests can be imported."""
    command = [sys.executable, *words]
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        process = SERVER.Process(target=_run, args=(command, dict(os.environ), Path.cwd(), output, errors))
        process.start()
        process.join()
        assert process.exitcode is not None
        return CompletedProcess(command, process.exitcode, output.read_text(), errors.read_text())


def _run(command: list[str], environment: dict[str, str], folder: Path, output: Path, errors: Path) -> None:
    """Make the fork what a new process would be, and run the command in it."""
    for descriptor, file in enumerate((Path(os.devnull), output, errors)):
        opened = os.open(file, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    # multiprocessing has put a stream of its own in the place of standard input.
    sys.stdin, sys.stdout, sys.stderr = open(0), sys.__stdout__, sys.__stderr__  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    _, option, program, *words = command
    sys.orig_argv, sys.argv = command, [program if option == "-m" else option, *words]
    if option == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the caller's own
