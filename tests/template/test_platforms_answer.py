"""A project has the folders of the platforms that were chosen, and of no other; each can be deleted as a whole."""

from __future__ import annotations

import itertools
import shutil

import pytest

from bakes import Bake, BakedProject

FOLDERS = {
    "compose": {"compose", "observability"},
    "kubernetes": {"kubernetes", "observability"},
    "aws": {"aws"},
    "kubeflow": {"kubeflow"},
}
COMBINATIONS = [chosen for size in range(5) for chosen in itertools.combinations(FOLDERS, size)]


def folders(project: BakedProject) -> set[str]:
    """The folders below deploy/."""
    return {path.name for path in (project.path / "deploy").iterdir() if path.is_dir()}


def targets(project: BakedProject) -> set[str]:
    """The commands that `make help` lists."""
    listed = project.run("make", "help").stdout
    return {line.split()[1] for line in listed.splitlines() if line.startswith("  make ")}


@pytest.mark.slow
@pytest.mark.parametrize("chosen", COMBINATIONS, ids=lambda chosen: "-".join(chosen) or "none")
def test_each_choice_has_its_folders_and_no_others(chosen: tuple[str, ...], bake: Bake) -> None:
    project = bake(platforms=", ".join(chosen) or "none", git_init=False)
    assert folders(project) == {name for each in chosen for name in FOLDERS[each]}
    assert (project.path / "deploy" / "Dockerfile").exists()


def test_case_spaces_order_and_repetition_do_not_matter(bake: Bake) -> None:
    project = bake(platforms=" Kubeflow ,AWS,none, aws,", git_init=False)
    assert folders(project) == {"aws", "kubeflow"}


@pytest.mark.parametrize("platform", FOLDERS)
def test_folder_brings_its_commands_and_takes_them_along_when_it_is_deleted(platform: str, bake: Bake) -> None:
    plain, project = bake(git_init=False), bake(platforms=platform, git_init=False)
    assert platform in targets(project) - targets(plain)
    for name in FOLDERS[platform]:
        shutil.rmtree(project.path / "deploy" / name)
    assert targets(project) == targets(plain)


def test_nothing_else_of_a_project_names_a_platform_s_folder(bake: Bake) -> None:
    """So nothing is left that leads nowhere when one is deleted."""
    project = bake(platforms=", ".join(FOLDERS), git_init=False)
    names = {name for each in FOLDERS.values() for name in each}
    outside = [path for path in project.own_files if path.relative_to(project.path).parts[0] != "deploy"]
    texts = {path: path.read_text(encoding="utf-8") for path in outside if path.suffix in {".py", ".toml", ".md", ""}}
    assert [str(path) for path, text in texts.items() for name in names if f"deploy/{name}" in text] == []
