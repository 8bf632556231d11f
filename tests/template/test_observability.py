"""Alerts, dashboards and runbook of a project that runs servers; the engine's tests ask them of a real Prometheus."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from bakes import Bake, BakedProject, succeed
from prometheus import program

KINDS = {"stat", "state-timeline", "timeseries"}  # of panels; each is in every Grafana


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """A project that will run by Compose."""
    return bake(platforms="compose")


@pytest.fixture(scope="module")
def folder(project: BakedProject) -> Path:
    """Where its configuration is."""
    return project.path / "deploy" / "observability"


def rules_of(folder: Path) -> list[dict[str, Any]]:
    """Every alert."""
    groups = yaml.safe_load((folder / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Every dashboard, by the name of its file."""
    return {file.stem: json.loads(file.read_text()) for file in (folder / "grafana" / "dashboards").iterdir()}


def test_only_a_project_that_runs_servers_has_it(bake: Bake, folder: Path) -> None:
    assert folder.is_dir()
    assert (bake(platforms="kubernetes").path / "deploy" / "observability").is_dir()
    assert not (bake(platforms="none").path / "deploy" / "observability").exists()


@pytest.mark.slow
def test_configuration_is_valid_and_every_case_of_the_rules_holds(project: BakedProject) -> None:
    program("promtool")
    printed = succeed(project, "make", "alerts")
    assert "22 rules found" in printed


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(folder: Path) -> None:
    tests = yaml.safe_load((folder / "rules-test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    firing = {case["alertname"] for case in cases if case.get("exp_alerts")}
    silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert firing == silent == {rule["alert"] for rule in rules_of(folder)}


def test_every_alert_has_its_section_of_the_runbook_and_every_section_its_alert(
    project: BakedProject, folder: Path
) -> None:
    page = (folder / "runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n\n(.*?)(?=\n#|\Z)", page, re.MULTILINE | re.DOTALL))
    rules = rules_of(folder)
    assert list(sections) == [rule["alert"] for rule in rules]
    for rule in rules:
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert project.path / file == folder / "runbook.md"
        assert anchor == rule["alert"].lower()
    for name, text in sections.items():
        assert re.findall(r"^- \*\*(\w+):\*\* \S", text, re.MULTILINE) == ["Means", "Look", "Do"], name
    assert {each.lower() for each in sections} >= set(re.findall(r"\(#(\w+)\)", page))
    assert len(page.splitlines()) <= 200


def test_every_alert_says_whom_it_wants_and_one_line_about_what(folder: Path) -> None:
    for rule in rules_of(folder):
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule
        assert "\n" not in rule["annotations"]["summary"], rule


def test_dashboards_are_complete(folder: Path) -> None:
    dashboards = dashboards_of(folder)
    assert set(dashboards) == {"api", "pipeline", "model"}
    for name, dashboard in dashboards.items():
        assert dashboard["uid"] == f"modelworks-{name}"
        variables = {each["name"] for each in dashboard["templating"]["list"]}
        assert set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) == variables == {"datasource", "job"}
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["type"] in KINDS
            assert panel["description"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
            assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_no_panel_lies_on_another_one_or_beyond_the_page(folder: Path) -> None:
    for dashboard in dashboards_of(folder).values():
        places = [panel["gridPos"] for panel in dashboard["panels"]]
        assert all(each["x"] + each["w"] <= 24 for each in places)
        for one, other in combinations(places, 2):
            apart_in_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            apart_in_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert apart_in_x or apart_in_y, (one, other)


def test_grafana_finds_prometheus_and_the_dashboards(folder: Path) -> None:
    provisioning = folder / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["isDefault"], source["url"]) == ("prometheus", True, "http://prometheus:9090")
    [provider] = yaml.safe_load((provisioning / "dashboards" / "dashboards.yml").read_text())["providers"]
    assert (provider["type"], provider["options"]) == ("file", {"path": "/var/lib/grafana/dashboards"})
