"""Bad answers are refused before a file is written; hostile text comes out as the same text."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException, OutputDirExistsException, UndefinedVariableInTemplate
from cookiecutter.main import cookiecutter
from jinja2 import TemplateSyntaxError
from markdown_it import MarkdownIt

from bakes import PROJECT_FOLDER, REPOSITORY, Bake, tool

EXAMPLES = {
    "project_name": "Flight Delays",
    "project_slug": "flight-delays",
    "description": "Predicts whether a flight will be late.",
    "data_path": "customers.csv",
    "target": "churned",
    "frameworks": "scikit-learn, lightgbm",
    "platforms": "compose, kubernetes",
    "author_name": "Ada Lovelace",
    "author_email": "ada@example.com",
}

# The default for each question that is left, those of a team's own template among them.
ENTERS = "\n" * 30

REFUSED = [
    ("data_path", "no-such.csv", "no such file"),
    ("data_path", "customers.xlsx", "no CSV or Parquet file"),
    ("data_path", "a\nb.csv", "line break"),
    ("target", "x" * 201, "201 characters"),
    ("frameworks", "tensorflow", "'tensorflow' is none of them"),
    ("frameworks", "lightgbm, Torch", "'Torch' is none of them"),
    ("frameworks", "lightgbm xgboost", "'lightgbm xgboost' is none of them"),
    ("frameworks", "lightgbm;keras", "none of them"),
    ("frameworks", "spark, Spark-Classic", "spark and spark-classic overwrite each other's files"),
    ("frameworks", "lightgbm,\nkeras", "line break"),
    ("frameworks", "keras," * 40, "240 characters"),
    ("platforms", "docker", "'docker' is none of them"),
    ("platforms", "compose kubernetes", "'compose kubernetes' is none of them"),
    ("platforms", "compose,\naws", "line break"),
    ("project_name", "", "empty"),
    ("project_name", "   ", "empty"),
    ("project_name", " Flights", "space"),
    ("project_name", "x" * 81, "81 characters"),
    ("project_name", "Flight\nDelays", "line break"),
    ("project_name", "Flight\x00Delays", "control character"),
    ("project_name", "Flight\x1b[31mDelays", "control character"),
    ("project_name", "Flight\u2028Delays", "line break"),
    ("project_name", "Flight\u202edelays", "control character"),
    ("project_name", "Flight\udcffDelays", "control character"),
    ("project_slug", "2013-flights", "a letter first"),
    ("project_slug", "Flight-Delays", "lowercase"),
    ("project_slug", "flight_delays", "hyphens"),
    ("project_slug", "flight--delays", "single hyphens"),
    ("project_slug", "flight-", "no hyphen last"),
    ("project_slug", "-flight", "a letter first"),
    ("project_slug", "flight delays", "lowercase"),
    ("project_slug", "flüge", "lowercase"),
    ("project_slug", "flights٣", "lowercase"),
    ("project_slug", "flights;ls", "lowercase"),
    ("project_slug", "$(ls)", "lowercase"),
    ("project_slug", "../flights", "lowercase"),
    ("project_slug", "flights/delays", "lowercase"),
    ("project_slug", "x" * 51, "51 characters"),
    ("project_slug", "class", "keyword"),
    ("project_slug", "match", "keyword"),
    ("project_slug", "json", "standard library"),
    ("project_slug", "test", "needs for something else"),
    ("project_slug", "dags", "needs for something else"),
    ("project_slug", "airflow", "installs"),
    ("project_slug", "modelworks", "needs for something else"),
    ("project_slug", "mlflow", "installs"),
    ("project_slug", "sklearn", "installs"),
    ("project_slug", "scikit-learn", "installs"),
    ("description", "", "empty"),
    ("description", "x" * 201, "201 characters"),
    ("description", "late\tor not", "control character"),
    ("author_name", "\u3000", "empty"),
    ("author_name", "x" * 101, "101 characters"),
    ("author_email", "ada", "not an e-mail"),
    ("author_email", "ada@example", "not an e-mail"),
    ("author_email", "adaexample.com", "not an e-mail"),
    ("author_email", "ada@example..com", "not an e-mail"),
    ("author_email", "a..da@example.com", "not an e-mail"),
    ("author_email", "Ada <ada@example.com>", "not an e-mail"),
    ("author_email", '"ada"@example.com', "not an e-mail"),
    ("author_email", f"{'a' * 250}@example.com", "characters"),
]

# Placeholders, and answers that are empty, a sentence, derived from others or a yes.
NOT_SHOWN = {"project_slug", "description", "data_path", "target", "author_name", "author_email", "git_init"}
HOSTILE = [
    '"; import os; os.abort(); "',
    "back\\slash, \\n, \\u0041, \\",
    "{single} braces }} and %} and {}",
    "</script><!-- <b>bold</b> -->",
    "\"\"\"triple\"\"\" and '''triple'''",
    "$(rm -rf ~) `id` ${HOME} $HOME; ls | cat",
    "*bold* _italic_ [link](there) ~~gone~~ ![picture](there) $x^2$",
    "# heading & &amp; entity #",
    "1. list",
    "- list",
    "+ list",
    "=====",
    "%s %(name)s %d",
    "Größe 🛫👩🏽‍✈️ 航班 Ødegård",
    "[tool.ruff]",
    "O'Hare: on time? 100% @ 5 @all",
]


def refused(capfd: pytest.CaptureFixture[str], bake: Bake, output_dir: Path, **answers: object) -> str:
    """Bake with answers that are refused, check that nothing is left, and return the message."""
    with pytest.raises((FailedHookException, FileNotFoundError)):
        bake(output_dir, **answers)
    assert list(output_dir.iterdir()) == []
    return capfd.readouterr().err


@pytest.mark.parametrize(("question", "answer", "said"), REFUSED)
def test_a_bad_answer_is_named_with_what_is_allowed_and_an_example(
    question: str, answer: str, said: str, bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = refused(capfd, bake, tmp_path, **{question: answer})
    paragraph = message[message.index(f"  {question}: {answer!r}\n") :]
    assert said in paragraph
    assert re.search(r"\n    allowed: .+", paragraph)
    assert f"\n    example: {EXAMPLES[question]}\n" in paragraph


def test_the_examples_that_a_refusal_gives_are_accepted(bake: Bake) -> None:
    assert bake(**EXAMPLES | {"data_path": "", "target": ""}).path.name == EXAMPLES["project_slug"]


def test_all_bad_answers_are_reported_in_one_go(bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    message = refused(capfd, bake, tmp_path, project_slug="9", description="", author_email="me")
    assert re.findall(r"^  (\w+):", message, re.MULTILINE) == ["project_slug", "description", "author_email"]


def test_a_name_without_a_usable_letter_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "project_slug: '-'" in refused(capfd, bake, tmp_path, project_name="!!!")


def test_an_empty_slug_is_stopped_by_cookiecutter_itself(bake: Bake, tmp_path: Path) -> None:
    with pytest.raises(OutputDirExistsException):
        bake(tmp_path, project_slug="")
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_no_choice_is_refused(bake: Bake, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"GPL.*license.*MIT"):
        bake(tmp_path, license="GPL")
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_exits_with_1_and_explains_itself_on_stderr(template: Path, tmp_path: Path) -> None:
    done = run_cookiecutter(template, tmp_path, "--no-input", "project_slug=airflow")
    assert done.returncode == 1
    assert "project_slug: 'airflow'" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_refusal_loses_nothing_of_an_existing_folder(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "flights" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep")
    with pytest.raises(FailedHookException):
        bake(tmp_path, overwrite_if_exists=True, project_slug="flights", author_email="me")
    assert "author_email: 'me'" in capfd.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "keep"


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_out_as_the_same_text(text: str, bake: Bake) -> None:
    project = bake(
        project_name=text, project_slug="hostile", description=text, author_name=text, author_email="o'hare@a.example"
    )
    declared = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert declared["description"] == text
    assert declared["authors"] == [{"name": text, "email": "o'hare@a.example"}]
    assert text in shown(project.path / "README.md")
    assert text in (project.path / "LICENSE").read_text(encoding="utf-8")
    for path in (each for each in project.own_files if each.suffix == ".py"):
        compile(path.read_bytes(), path, "exec")
    linted = project.run(tool("ruff"), "check", "--no-cache")
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_answers_are_literals_in_toml_and_python_and_plain_text_in_markdown(text: str, tmp_path: Path) -> None:
    """Held against a template of one file, so that it holds wherever the project uses them."""
    keys = ["project_name", "description", "author_name"]
    folder = tmp_path / "template" / PROJECT_FOLDER
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "cookiecutter.json", folder.parent)
    (folder / "quoted").write_text("\n".join(f"{key} = {{{{ cookiecutter.__{key}_quoted }}}}" for key in keys))
    (folder / "markdown").write_text("\n\n".join(f"{{{{ cookiecutter.__{key}_md }}}}" for key in keys))
    project = Path(
        cookiecutter(
            str(folder.parent),
            no_input=True,
            default_config={"replay_dir": str(tmp_path)},
            extra_context=dict.fromkeys(keys, text) | {"project_slug": "hostile"},
            output_dir=str(tmp_path / "out"),
        )
    )
    quoted = (project / "quoted").read_text(encoding="utf-8")
    assert tomllib.loads(quoted) == dict.fromkeys(keys, text)
    assert [ast.literal_eval(line.split(" = ", 1)[1]) for line in quoted.splitlines()] == [text] * 3
    assert shown(project / "markdown") == [text] * 3


def shown(markdown: Path) -> list[str]:
    """Return each paragraph and heading of a file as a reader sees it, those with any markup inside left out."""
    inlines = [token for token in MarkdownIt().parse(markdown.read_text(encoding="utf-8")) if token.type == "inline"]
    children = [token.children or [] for token in inlines]
    return ["".join(child.content for child in row) for row in children if {child.type for child in row} == {"text"}]


def run_cookiecutter(
    template: Path, folder: Path, *arguments: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, with a home of its own."""
    (folder / "out").mkdir()
    return subprocess.run(
        [tool("cookiecutter"), str(template), "--output-dir", str(folder / "out"), *arguments],
        input=typed,
        env=os.environ | {"HOME": str(folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_typed_answers_are_taken_as_they_are(template: Path, tmp_path: Path) -> None:
    """Name, slug, description, no data, no target, example, frameworks, platform, author, license, CI, no git."""
    named = [
        'A "quoted" \\ {name}',
        "typed",
        "Says [bold]so[/bold].",
        "",
        "",
        "1",
        "XGBoost,keras",
        "Kubeflow, none",
        "Ada",
        "ada@example.com",
    ]
    typed = [*named, "2", "3", "n"]
    done = run_cookiecutter(template, tmp_path, typed="\n".join(typed) + ENTERS)
    assert done.returncode == 0, done.stdout + done.stderr
    declared = tomllib.loads((tmp_path / "out" / "typed" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert declared["description"] == typed[2]
    assert 'A "quoted" \\ {name}' in shown(tmp_path / "out" / "typed" / "README.md")
    assert not (tmp_path / "out" / "typed" / ".git").exists()
    assert declared["dependencies"] == ["modelworks[xgboost,keras,tensorflow]>=2,<3"]


def test_target_and_data_need_each_other(template: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    for answer, message in (("target=b", "a target and no data_path"), (f"data_path={tmp_path}/mine.csv", "no target")):
        folder = tmp_path / message
        folder.mkdir()
        done = run_cookiecutter(template, folder, "--no-input", answer)
        assert done.returncode == 1
        assert message in done.stderr
        assert not any((folder / "out").iterdir())


def test_data_of_ones_own_and_an_example_of_texts_are_refused_together(template: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    answers = (f"data_path={tmp_path}/mine.csv", "target=b", "example=text")
    done = run_cookiecutter(template, tmp_path, "--no-input", *answers)
    assert done.returncode == 1
    assert "there is an example as well, 'text'" in done.stderr
    assert not any((tmp_path / "out").iterdir())


def test_enter_takes_every_default(template: Path, tmp_path: Path) -> None:
    done = run_cookiecutter(template, tmp_path, typed=ENTERS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "flight-delays" / ".git").is_dir()


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% if true %}", "{# note #}", "{{"])
def test_a_typed_template_mark_is_not_run_but_refused(text: str, template: Path, tmp_path: Path) -> None:
    """Cookiecutter leaves typed answers alone, but a later update of the project would replay and run them."""
    done = run_cookiecutter(template, tmp_path, typed=f"\n\n{text}\n" + ENTERS)
    assert done.returncode == 1
    assert f"description: {text!r}" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_template_expression_given_on_the_command_line_is_run_by_cookiecutter_and_then_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing here can keep cookiecutter from running it: who writes the command line runs programs anyway."""
    message = refused(capfd, bake, tmp_path, description="{{ 7 * 7 }}")
    assert "description: '49'" in message
    assert "given as '{{ 7 * 7 }}'" in message


@pytest.mark.parametrize("text", ["{{ nobody }}", "{{", "{% if %}"])
def test_an_expression_that_cannot_run_leaves_nothing(text: str, bake: Bake, tmp_path: Path) -> None:
    with pytest.raises((UndefinedVariableInTemplate, TemplateSyntaxError)):
        bake(tmp_path, description=text)
    assert list(tmp_path.iterdir()) == []


def test_every_package_of_the_lock_is_a_refused_name(template: Path) -> None:
    project = template / PROJECT_FOLDER
    locks = [project / "requirements.lock", project / "torch.lock", *(project / "frameworks").iterdir()]
    lock = "".join(path.read_text(encoding="utf-8") for path in locks)
    locked = {name.replace("-", "_") for name in re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", lock, re.MULTILINE)}
    assert {"torch", "lightgbm", "tensorflow_cpu"} <= locked
    assert len(locked) > 100
    assert locked - set(constant(template, "DEPENDENCIES")) == set()


def test_every_folder_of_the_project_is_a_refused_name(template: Path) -> None:
    folders = {path.name for path in (template / PROJECT_FOLDER).iterdir() if path.is_dir()}
    assert {name for name in folders if name.isidentifier()} - set(constant(template, "OWN_NAMES")) == set()


def constant(template: Path, name: str) -> list[str]:
    """Return the words of a constant of the hook, which is a template and so is not to be imported."""
    hook = (template / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    found = re.search(rf"^{name} = frozenset\((.*?)\.split\(\)", hook, re.MULTILINE | re.DOTALL)
    assert found
    return str(ast.literal_eval(f"({found[1]})")).split()


def test_every_question_is_worded_and_every_choice_labelled() -> None:
    questions = json.loads((REPOSITORY / "cookiecutter.json").read_text(encoding="utf-8"))
    prompts = questions["__prompts__"]
    asked = {name: default for name, default in questions.items() if not name.startswith("_")}
    assert list(asked) == list(prompts)
    for name, default in asked.items():
        if isinstance(default, list):
            assert [*prompts[name]] == ["__prompt__", *default]


def test_page_of_the_questions_has_each_with_its_default_and_choices() -> None:
    """Every question, in order; a default that is not empty and does not follow from others; every choice."""
    questions = json.loads((REPOSITORY / "cookiecutter.json").read_text(encoding="utf-8"))
    page = (REPOSITORY / "docs/reference/questions.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    asked = {name: default for name, default in questions.items() if not name.startswith("_")}
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row[0])] == list(asked)
    for name, default in asked.items():
        [row] = [" | ".join(each) for each in rows if f"`{name}`" in each[0]]
        shown = default if isinstance(default, list) else [] if name in NOT_SHOWN else [str(default)]
        missing = [value for value in shown if value not in row]
        assert not missing, f"{name}: {missing}"
