"""Say which links of the site lead nowhere: `make docs-links`, with what Sphinx's linkcheck has found."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def report(found: Path) -> int:
    """Print the links to the outside that are broken; the exit code, which is 2 if no server has answered at all.

    Parameters
    ----------
    found : a line of JSON for each link
    """
    links = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    outside = [link for link in links if link["uri"].startswith("http")]
    broken = [link for link in outside if link["status"] in {"broken", "timeout"}]
    if outside and all(link in broken and not link["code"] for link in outside):
        print(f"None of {len(outside)} links was looked up: no server answers. Is there a network?", file=sys.stderr)
        return 2
    for link in broken:
        print(f"{link['filename']}:{link['lineno']}: {link['uri']}: {link['info']}", file=sys.stderr)
    print(f"{len(outside)} links to the outside, {len(broken)} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(report(Path(sys.argv[1])))
