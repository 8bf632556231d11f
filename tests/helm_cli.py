"""`helm template`, of Helm's own library: for tests on machines that have no `helm`.

It knows what a project's `make kubernetes` says, and nothing that needs a network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import helm_python as helm

from charts import Values, merge


def main() -> int:
    """Print what a chart renders."""
    parser = argparse.ArgumentParser(prog="helm")
    parser.add_argument("command", choices=["template"])
    parser.add_argument("name")
    parser.add_argument("chart")
    for option in ("--repo", "--version", "--namespace", "--set-file"):
        parser.add_argument(option, default="")
    parser.add_argument("--values", type=Path, action="append", default=[])
    given = parser.parse_args()
    if given.repo:
        print(f'Error: looks like "{given.repo}" is not a valid chart repository or cannot be reached', file=sys.stderr)
        return 1
    values: Values = {}
    for file in given.values:
        values = merge(values, helm.values_from_yaml(file.read_text(encoding="utf-8")))
    if given.set_file:
        name, _, file = given.set_file.partition("=")
        values[name] = Path(file).read_text(encoding="utf-8")
    try:
        chart = helm.Chart.load(given.chart)
        chart.validate_schema(values)
        rendered = chart.render(values, name=given.name, namespace=given.namespace)
    except helm.HelmError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print("\n---\n".join(text for file, text in sorted(rendered.items()) if not file.endswith(".txt")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
