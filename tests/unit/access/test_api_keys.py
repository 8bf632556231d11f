"""The file of API keys: what it holds, what it refuses, and when the API may be open without it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flights import make_home
from modelworks.access import check_opening, keys_file, read_keys
from modelworks.access.api_keys import add_key, hash_key, remove_key
from modelworks.errors import ConfigError
from modelworks.settings import load_settings

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "var" / "api-keys.json"


def test_file_holds_the_hash_of_a_key_and_only_its_owner_reads_it(file: Path) -> None:
    key = add_key(file, "shop", ["explain", "predict"], 30, NOW)
    assert len(key) == len("mwk_") + 43  # 256 bits in base64
    assert key not in file.read_text()
    [kept] = read_keys(file)
    assert (kept.name, kept.scopes, kept.sha256) == ("shop", ["predict", "explain"], hash_key(key))
    assert kept.expires == NOW + timedelta(days=30)
    assert not kept.is_expired(NOW + timedelta(days=29))
    assert kept.is_expired(NOW + timedelta(days=30))
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_file_that_a_container_may_read_stays_so(file: Path) -> None:
    add_key(file, "a", ["read"], None, NOW)
    file.chmod(0o644)
    add_key(file, "b", ["read"], None, NOW)
    assert file.stat().st_mode & 0o777 == 0o644


def test_keys_are_added_and_removed_one_by_one(file: Path) -> None:
    first, second = (add_key(file, name, ["predict"], None, NOW) for name in ("a", "b"))
    assert first != second
    remove_key(file, "a")
    assert [each.name for each in read_keys(file)] == ["b"]
    with pytest.raises(ConfigError, match="has no key called a; there are: b"):
        remove_key(file, "a")


@pytest.mark.parametrize(
    ("name", "scopes", "message"),
    [
        ("shop", ["predict"], "there is a key called shop already"),
        ("x", ["write"], "no scope is called 'write'; the scopes are predict, explain, read"),
        ("two words", ["predict"], "'two words' names no key"),
        ("", ["predict"], "'' names no key"),
    ],
)
def test_wrong_key_is_refused_and_changes_nothing(file: Path, name: str, scopes: list[str], message: str) -> None:
    add_key(file, "shop", ["predict"], None, NOW)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=message):
        add_key(file, name, scopes, None, NOW)
    assert file.read_bytes() == before


def entry(**changes: object) -> dict[str, object]:
    """A key of the file, with some changes."""
    kept = {"name": "a", "scopes": ["read"], "sha256": "0" * 64, "created": "2026-12-01T00:00:00Z"}
    return {**kept, **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Invalid JSON"),
        (json.dumps({"keys": [entry(scopes=[])]}), r"keys\.0\.scopes"),
        (json.dumps({"keys": [entry(scopes=["write"])]}), r"keys\.0\.scopes\.0"),
        (json.dumps({"keys": [entry(sha256="mwk_plain")]}), r"keys\.0\.sha256"),
        (json.dumps({"keys": [entry(created="2026-12-01T00:00:00")]}), r"keys\.0\.created"),
        (json.dumps({"keys": [entry(admin=True)]}), r"keys\.0\.admin"),
        (json.dumps({"keys": [entry(), entry(sha256="1" * 64)]}), "two keys are called a"),
    ],
)
def test_damaged_file_is_named_with_the_place(file: Path, content: str, message: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ConfigError, match=message) as raised:
        read_keys(file)
    assert str(raised.value).startswith(f"{file}: ")


OIDC = {"oidc_issuer": "https://login.example.com/", "oidc_audience": "flights"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "ml.example.com", "::ffff:192.0.2.7"])  # noqa: S104
def test_api_opens_to_the_network_only_once_it_can_know_its_callers(tmp_path: Path, host: str) -> None:
    make_home(tmp_path)
    settings = load_settings(tmp_path)
    with pytest.raises(ConfigError, match=r"api-keys\.json is not there: make a key .* oidc_issuer .* \"by_proxy\""):
        check_opening(settings, host)
    add_key(keys_file(settings), "shop", ["predict"], None, NOW)
    check_opening(settings, host)
    remove_key(keys_file(settings), "shop")
    with pytest.raises(ConfigError, match=r"api-keys\.json has no key"):
        check_opening(settings, host)
    for others in (OIDC, {"authentication": "by_proxy"}):
        check_opening(load_settings(tmp_path, {"access": others}), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "::ffff:127.0.0.1"])
def test_api_of_this_computer_alone_needs_no_key(tmp_path: Path, host: str) -> None:
    make_home(tmp_path)
    check_opening(load_settings(tmp_path), host)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"oidc_issuer": "https://login.example.com"}, "oidc_issuer and oidc_audience belong together"),
        ({**OIDC, "oidc_issuer": "http://login.example.com"}, "is no https:// URL"),
        ({**OIDC, "oidc_issuer": "login.example.com"}, "is no https:// URL"),
        ({"allowed_hosts": ["https://api.example.com"]}, "allowed_hosts"),
        ({"allowed_hosts": ["api.example.com:8000"]}, "allowed_hosts"),
        ({"authentication": "off"}, "authentication"),
        ({"requests_per_minute": -1}, "requests_per_minute"),
    ],
)
def test_settings_that_would_not_protect_are_refused(tmp_path: Path, values: dict[str, object], message: str) -> None:
    make_home(tmp_path)
    with pytest.raises(ConfigError, match=message):
        load_settings(tmp_path, {"access": values})
