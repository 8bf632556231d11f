"""Models that are signed as they are saved: whoever may write to the registry cannot put another in their place."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sklearn.pipeline import Pipeline

from model_rows import TABLES
from modelworks.errors import ConfigError, ReleaseError
from modelworks.registry.models import FILE, SIGNATURE
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, Model, Settings, load_settings

TRACKING = f"{ENV_PREFIX}TRACKING__"
FLIGHTS = TABLES["flights"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of keys, `one` and `two`, and what is no such key."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("one", "two"):
        private = ec.generate_private_key(ec.SECP256R1())
        write_pair(folder, name, private)
    write_pair(folder, "rsa", rsa.generate_private_key(65537, 2048))
    (folder / "empty.pem").write_text("")
    return folder


def write_pair(folder: Path, name: str, private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.pem").write_bytes(pem)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)


@pytest.fixture(scope="module")
def fitted() -> Pipeline:
    """A small model of the flights."""
    return FLIGHTS.fit(FLIGHTS.rows, Model(type="boosting", parameters={"max_iter": 2}))


@pytest.fixture
def use(keys: Path, project: Path, monkeypatch: pytest.MonkeyPatch):
    """The settings with these keys."""

    def settings(private: str = "", public: str = "") -> Settings:
        for setting, name in (("SIGNING_KEY", private), ("VERIFICATION_KEY", public)):
            monkeypatch.setenv(f"{TRACKING}{setting}", str(keys / name) if name else "")
        return load_settings(project)

    return settings


def save(settings: Settings, model: Pipeline) -> str:
    tracker = Tracker(FLIGHTS.project, settings)
    run_id = tracker.runs.open("saved", "2013-05", {})
    return tracker.models.save(run_id, "model", model, FLIGHTS.rows.head(), [])


def stored(settings: Settings, name: str) -> Path:
    [file] = (settings.home / "var" / "mlflow" / "artifacts").rglob(name)
    return file


def test_signed_model_is_loaded_by_who_has_the_public_key(use, fitted: Pipeline) -> None:
    uri = save(use("one.pem"), fitted)
    loaded = Tracker(FLIGHTS.project, use(public="one.pub")).models.load(uri)
    rows = FLIGHTS.rows.head()
    np.testing.assert_array_equal(FLIGHTS.predict(loaded, rows), FLIGHTS.predict(fitted, rows))


def test_without_keys_a_model_has_no_signature_and_none_is_asked_for(use, fitted: Pipeline) -> None:
    settings = use()
    Tracker(FLIGHTS.project, settings).models.load(save(settings, fitted))
    assert list((settings.home / "var" / "mlflow" / "artifacts").rglob(SIGNATURE)) == []


def test_model_without_a_signature_is_refused_where_one_is_wanted(use, fitted: Pipeline) -> None:
    uri = save(use(), fitted)
    with pytest.raises(ReleaseError, match=r"the model is not signed, and \[tracking\] verification_key is set"):
        Tracker(FLIGHTS.project, use(public="one.pub")).models.load(uri)


def test_model_that_was_signed_by_another_is_refused(use, fitted: Pipeline) -> None:
    uri = save(use("two.pem"), fitted)
    with pytest.raises(ReleaseError, match=r"the signature of model\.skops is not that of \[tracking\] verification"):
        Tracker(FLIGHTS.project, use(public="one.pub")).models.load(uri)


def test_model_that_was_replaced_together_with_its_hash_is_refused(use, fitted: Pipeline) -> None:
    """As somebody does who may write to the registry: the hash alone is of no help then."""
    settings = use("one.pem")
    uri = save(settings, fitted)
    file = stored(settings, FILE)
    file.write_bytes(file.read_bytes() + b"\0")
    client = Tracker(FLIGHTS.project, settings).models._client
    client.set_logged_model_tags(
        uri.removeprefix("models:/"), {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    )
    with pytest.raises(ReleaseError, match=r"the signature of model\.skops is not that of"):
        Tracker(FLIGHTS.project, use(public="one.pub")).models.load(uri)


@pytest.mark.parametrize(("private", "message"), [("rsa.pem", "is no such key"), ("none.pem", "there is no such file")])
def test_key_that_cannot_sign_is_named_and_no_model_is_saved(use, fitted, private: str, message: str) -> None:
    settings = use(private)
    with pytest.raises(ConfigError, match=rf"\[tracking\] signing_key.*{message}"):
        save(settings, fitted)
    assert list((settings.home / "var" / "mlflow" / "artifacts").rglob(FILE)) == []


@pytest.mark.parametrize("public", ["rsa.pub", "empty.pem", "none.pub"])
def test_key_that_cannot_verify_is_named(use, fitted: Pipeline, public: str) -> None:
    uri = save(use("one.pem"), fitted)
    with pytest.raises(ConfigError, match=r"\[tracking\] verification_key"):
        Tracker(FLIGHTS.project, use(public=public)).models.load(uri)
