"""Make the data of the text example: titles of changes in Node.js, a file a month, from its changelogs.

    python tools/text_example.py doc/changelogs examples/text/data

The changelogs are those of the source of Node.js 18.20.4, as Debian 12 has it (`apt-get source nodejs`).
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

import months

LINES = ["15", "16", "17", "18"]
"""Lines of releases that follow each other: each is the current one until the next begins."""
FIRST, LAST = "2021-01", "2022-10"
RELEASE = re.compile(r"^## (\d{4}-\d\d)-\d\d, Version (\d+\.\d+\.\d+) \(Current\)")
CHANGE = re.compile(
    r"^\* \\\[\[`(?P<commit>[0-9a-f]{10})`\]\([^)]*\)\] - (?:\*\*\(SEMVER-(?P<kind>MAJOR|MINOR)\)\*\* )?"
    r"\*\*(?P<subsystem>[^*]+)\*\*: (?P<title>.+?) \([^()]*(?:\([^()]*\)[^()]*)?\)(?: \[#\d+\]\([^)]*\))*\s*$"
)
AREAS = {
    "build": "tools",
    "tools": "tools",
    "meta": "tools",
    "benchmark": "tools",
    "deps": "deps",
    "doc": "doc",
    "test": "test",
    "src": "src",
    "node-api": "src",
    "n-api": "src",
}
"""Where the parts of the repository belong; every other name is that of a module in lib/."""
ABOUT_PEOPLE = re.compile(
    r"collaborator|triager|emeritus|release key|\bTSC\b|mailmap|AUTHORS|steward|@|contact", re.IGNORECASE
)
COLUMNS = ["commit", "version", "title", "kind", "area"]


def read_changes(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The changes of each month, each in the first release that it came in; those about people are left out."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    seen: set[str] = set()
    for line in LINES:
        releases: list[tuple[str, str, list[str]]] = []
        for text in (folder / f"CHANGELOG_V{line}.md").read_text(encoding="utf-8").splitlines():
            if text.startswith("## "):
                begun = RELEASE.match(text)
                releases.append((begun[1], begun[2], []) if begun else ("", "", []))
            elif releases:
                releases[-1][2].append(text)
        for month, version, texts in reversed(releases):
            if not FIRST <= month <= LAST:
                continue
            for text in texts:
                change = CHANGE.match(text)
                if not change:
                    continue
                title = re.sub(r"\\(.)", r"\1", change["title"]).replace("`", "").strip()
                row = {
                    "commit": change["commit"],
                    "version": version,
                    "title": title,
                    "kind": (change["kind"] or "patch").lower(),
                    "area": AREAS.get(re.split(r"[,\s]", change["subsystem"].replace("\\", ""))[0], "lib"),
                }
                if title in seen or change["commit"] in seen or ABOUT_PEOPLE.search(title):
                    continue
                seen |= {title, change["commit"]}
                found[month].append(row)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    months.write(read_changes(Path(sys.argv[1])), COLUMNS, Path(sys.argv[2]), "changes")
