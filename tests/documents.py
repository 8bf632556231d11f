"""Pages whose steps are followed as a reader follows them.

Fenced blocks are the steps, in the order of the page:

```console   commands behind `$ `, and below each one lines of what it prints; the shell stays where a `cd` has led.
             A line of `...` leaves lines out, and one that ends in `...` its rest. Figures may differ.
             `console fails` is for a command that ends with another exit code than 0
```diff      a change to files, for `git apply`
```X file=Y  a file Y, whatever its language X
```sh        commands for the reader, which `test_readme.py` finds a test for
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

FIGURE = re.compile(r"[0-9a-f]{32}|\d+(\.\d+)?")


@dataclass(frozen=True)
class Step:
    """A block of a page."""

    language: str
    options: tuple[str, ...]
    text: str
    place: str

    @property
    def file(self) -> str:
        """Name of the file that the block is, if it is one."""
        return next((word.removeprefix("file=") for word in self.options if word.startswith("file=")), "")


def steps_of(page: Path) -> list[Step]:
    """Every fenced block of a page."""
    fences = [token for token in MarkdownIt().parse(page.read_text(encoding="utf-8")) if token.type == "fence"]
    return [_step(page, fence) for fence in fences]


def _step(page: Path, fence: Token) -> Step:
    language, *options = fence.info.split() or [""]
    assert fence.map is not None
    return Step(language, tuple(options), fence.content, f"{page.name}:{fence.map[0] + 1}")


def commands_of(step: Step) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that are shown below it."""
    commands: list[tuple[str, list[str]]] = []
    for line in step.text.replace("\\\n", "\\\0").splitlines():
        line = line.replace("\\\0", "\\\n")
        if line.startswith("$ "):
            commands.append((line.removeprefix("$ "), []))
        elif line.strip():
            assert commands, f"{step.place}: output before the first command"
            commands[-1][1].append(line)
    return commands


@dataclass
class Reader:
    """Somebody who follows a page, step by step, in a folder.

    Attributes
    ----------
    environment : what differs from ours
    replaced : words in commands that are others here, such as the address of a server
    replaces_in_files : whether they are others in the files of the page as well
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    replaces_in_files: bool = False

    def follow(self, steps: Sequence[Step]) -> None:
        """Do what each step says."""
        for step in steps:
            if step.language == "console":
                for command, shown in commands_of(step):
                    self._run(step, command, shown)
            elif step.language == "diff":
                done = self._call(["git", "apply", "-"], step.text)
                assert done.returncode == 0, f"{step.place}: {done.stdout}"
            elif step.file:
                path = self.folder / step.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._replace(step.text) if self.replaces_in_files else step.text, encoding="utf-8")

    def _run(self, step: Step, command: str, shown: list[str]) -> None:
        done = self._call(["bash", "-c", f'{self._replace(command)}\nstatus=$?\nprintf "\\n%s" "$PWD"\nexit $status'])
        printed, _, folder = done.stdout.rpartition("\n")
        assert (done.returncode != 0) == ("fails" in step.options), f"{step.place}: {command}\n{printed}"
        missing = first_missing(shown, printed)
        assert missing is None, f"{step.place}: {command}\nshould print\n{missing}\nand printed\n{printed}"
        self.folder = Path(folder)

    def _replace(self, text: str) -> str:
        for word, other in self.replaced.items():
            text = text.replace(word, other)
        return text

    def _call(self, command: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | dict(self.environment),
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def first_missing(shown: list[str], printed: str) -> str | None:
    """The first of the lines of a page that was not printed after those above it; None if all were."""
    left = iter([_masked(line) for line in printed.splitlines()])
    for line in shown:
        if line == "...":
            continue
        wanted = _masked(line.removesuffix("..."))
        begins = line.endswith("...")
        if not any(each.startswith(wanted) if begins else each == wanted for each in left):
            return line
    return None


def _masked(line: str) -> str:
    """A line without its figures, which differ from run to run and from machine to machine."""
    return FIGURE.sub("#", re.sub(r"\s+", " ", line).strip())
