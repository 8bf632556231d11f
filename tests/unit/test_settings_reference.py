"""The page of all settings is what their classes say."""

import importlib.util

from flights import REPOSITORY

TOOL = REPOSITORY / "tools" / "settings_reference.py"


def test_pages_of_settings_and_model_types_are_what_the_tool_writes() -> None:
    spec = importlib.util.spec_from_file_location("settings_reference", TOOL)
    assert spec
    assert spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for page, made in tool.to_pages().items():
        assert page.read_text(encoding="utf-8") == made, f"run .venv-engine/bin/python {TOOL}"


def test_every_setting_has_a_meaning() -> None:
    from modelworks.settings import Section, Settings

    sections = [field.annotation for field in Settings.model_fields.values()]
    tables = [kind for kind in sections if isinstance(kind, type) and issubclass(kind, Section)]
    assert len(tables) == 20
    assert [name for kind in tables for name, field in kind.model_fields.items() if not field.description] == []
