"""Synthesise a stack for each environment of cdk.json, and refuse what breaks a rule of cdk-nag: `make aws`."""

import json
import sys
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from stack import Platform

SETTINGS = json.loads(Path(__file__).with_name("cdk.json").read_text(encoding="utf-8"))["context"]


def make_app() -> cdk.App:
    """One stack for each environment, with the rules that each has to keep."""
    app = cdk.App(context=SETTINGS)
    for name, settings in app.node.get_context("environments").items():
        stack = Platform(app, f"{app.node.get_context('project')}-{name}", settings)
        cdk.Tags.of(stack).add("environment", name)
    cdk.Aspects.of(app).add(AwsSolutionsChecks())
    return app


def main() -> None:
    """Write the templates; exit with 1 and each finding if there is one."""
    assembly = make_app().synth()
    # jsii cannot hand the messages of an assembly to Python; they are in its files as well.
    files = sorted(Path(assembly.directory).glob("*.metadata.json"))
    entries = [item for file in files for item in json.loads(file.read_text(encoding="utf-8")).items()]
    found = [f"{path}: {each['data']}" for path, all_ in entries for each in all_ if each["type"] == "aws:cdk:error"]
    if found:
        print(*found, sep="\n", file=sys.stderr)
        sys.exit(f"{len(found)} findings: change the stack, or accept one with its reason in stack.py")
    for stack in assembly.stacks:
        print(f"{stack.stack_name}: {stack.template_full_path}")


if __name__ == "__main__":
    main()
