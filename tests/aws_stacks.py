"""What `make aws` of a generated project has written: templates of CloudFormation, and the reports of cdk-nag."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bakes import BakedProject


@dataclass(frozen=True)
class Stack:
    """A template of CloudFormation, and what cdk-nag has found in it."""

    template: dict[str, Any]
    report: list[dict[str, str]]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties of the resources of a type, by name."""
        resources = self.template["Resources"].items()
        return {name: each.get("Properties", {}) for name, each in resources if each["Type"] == f"AWS::{kind}"}

    def only(self, kind: str) -> dict[str, Any]:
        """Properties of the one resource of a type."""
        [found] = self.of(kind).values()
        return found

    def bucket_policy(self, bucket: str) -> list[dict[str, Any]]:
        """Statements of the policy of a bucket."""
        [found] = [each for each in self.of("S3::BucketPolicy").values() if each["Bucket"] == {"Ref": bucket}]
        statements: list[dict[str, Any]] = found["PolicyDocument"]["Statement"]
        return statements

    def role_policy(self, role: str) -> list[dict[str, Any]]:
        """Statements of the policy of a role, with lists of actions, and of resources such as `Store/store/*`."""
        [policy] = [each for name, each in self.of("IAM::Policy").items() if name.startswith(f"{role}Role")]
        return [
            each
            | {"Action": [each["Action"]] if isinstance(each["Action"], str) else each["Action"]}
            | {"Resource": [name_resource(one) for one in _listed(each["Resource"])]}
            for each in policy["PolicyDocument"]["Statement"]
        ]

    def accepted(self) -> dict[str, set[str]]:
        """The constructs in which findings are accepted, by rule."""
        found: dict[str, set[str]] = {}
        for each in self.report:
            if each["Compliance"] == "Suppressed":
                found.setdefault(each["Rule ID"], set()).add(each["Resource ID"].split("/")[1])
        return found


def read_stack(project: BakedProject, environment: str) -> Stack:
    """What `make aws` has written for an environment."""
    folder, name = project.path / "var/aws", f"{project.path.name}-{environment}"
    template = json.loads((folder / f"{name}.template.json").read_text(encoding="utf-8"))
    with (folder / f"AwsSolutions--{name}-NagReport.csv").open(encoding="utf-8", newline="") as file:
        return Stack(template, list(csv.DictReader(file)))


def name_resource(value: Any) -> str:
    """The name of a resource of a policy: `Store/store/*` for all objects of a folder in the bucket Store."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(name_resource(each) for each in parts)
    return re.sub(r"[0-9A-F]{8}$", "", value["Fn::GetAtt"][0])


def words_of(value: object) -> Iterator[str]:
    """All that is text in a part of a template."""
    for each in value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]:
        if isinstance(each, dict | list):
            yield from words_of(each)
        elif isinstance(each, str):
            yield each


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
