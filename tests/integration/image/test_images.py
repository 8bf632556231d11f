"""An image is a column like any other: checked, refused with the reason, scored, and watched."""

import json
from collections.abc import Callable
from time import process_time

import numpy as np
import pandas as pd
import pytest
from drawing import Image, claim_size, cut_off, noise, see_through, to_text
from sklearn.pipeline import Pipeline

from examples import IMAGE, skip_without
from modelworks.data import images, validation
from modelworks.errors import ConfigError, ContractError
from modelworks.models import encoders, pipeline
from modelworks.monitoring import drift
from modelworks.serving.payload import RequestReader
from modelworks.serving.problems import Refusal
from modelworks.settings import Model, Training

skip_without("PIL", "keras")

# Pillow warns of a large picture, and refuses a huge one by itself.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

READER = RequestReader(IMAGE.project.contract, max_rows=10)
FRAMES = {"save_all": True, "append_images": [noise(seed=1)]}

BAD = {
    "no base64": ("what is this?", "not base64"),
    "base64 with a line break": (to_text(noise())[:40] + "\n" + to_text(noise())[40:], "not base64"),
    "bytes of something else": ("aGVsbG8gd29ybGQ=", "no PNG or JPEG"),
    "another format": (to_text(noise(), "GIF"), "no PNG or JPEG"),
    "an animation": (to_text(noise(), **FRAMES), "several pictures in one"),
    "one pixel": (to_text(noise(1)), "a side of less than 4 pixels"),
    "a line": (to_text(noise().resize((100, 2))), "a side of less than 4 pixels"),
    "too large": (to_text(Image.new("L", (513, 8))), "a side of more than 512 pixels"),
    "a large bomb": (claim_size(12_000), "a side of more than 512 pixels"),
    "a huge bomb": (claim_size(1_000_000), "a side of more than 512 pixels"),
    "colour": (to_text(noise(mode="RGB")), "colour, and grey is wanted"),
    "a palette": (to_text(noise(mode="RGB").convert("P")), "colour, and grey is wanted"),
    "16 bits": (to_text(Image.new("I;16", (8, 8))), "pixels neither grey nor colour of 8 bits"),
    "ink for print": (to_text(Image.new("CMYK", (8, 8)), "JPEG"), "pixels neither grey nor colour of 8 bits"),
    "a PNG cut off": (cut_off(to_text(noise(64))), "broken or cut off"),
    "grey that is transparent in places": (
        to_text(see_through(noise())),
        "transparent in places",
    ),
    "a JPEG cut off": (cut_off(to_text(noise(64), "JPEG")), "broken or cut off"),
}


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A text that is no picture as the contract wants it, and why."""
    return BAD[request.param]


def test_image_that_breaks_the_contract_is_refused_by_the_api(bad: tuple[str, str]) -> None:
    text, reason = bad
    with pytest.raises(Refusal) as refused:
        READER.read(json.dumps({**IMAGE.project.contract.example, "image": text}).encode())
    assert refused.value.status == 422
    assert [field for field, _ in refused.value.errors] == ["image"]
    assert refused.value.errors[0][1].endswith(f"breaks the contract: {reason}")


def test_image_that_breaks_the_contract_is_set_aside_with_one_reason(
    digits: pd.DataFrame, bad: tuple[str, str]
) -> None:
    text, reason = bad
    rows = digits.head(3).assign(image=[text, *digits["image"].iloc[1:3]])
    clean, quarantined = validation.split_rows(
        IMAGE.project.contract, rows, validation.find_duplicates(IMAGE.project.contract, rows), IMAGE.period
    )
    assert clean["image"].tolist() == digits["image"].iloc[1:3].tolist()
    given = quarantined["reason"].iloc[0]
    assert given.startswith(f"image: {reason}: ")
    assert "; " not in given
    assert len(given) < 200  # and not the whole picture


def test_too_many_bytes_are_refused_by_their_number(digits: pd.DataFrame) -> None:
    text = "A" * 1_000_000
    with pytest.raises(Refusal) as refused:
        READER.read(json.dumps({**IMAGE.project.contract.example, "image": text}).encode())
    assert refused.value.errors == (("image", "String should have at most 200000 characters"),)
    rows = digits.head(1).assign(image=text)
    _, quarantined = validation.split_rows(IMAGE.project.contract, rows, np.array([False]), IMAGE.period)
    assert "image: str_length(1, 200000): AAA" in quarantined["reason"].iloc[0]
    assert len(quarantined["reason"].iloc[0]) < 400


def test_a_picture_that_would_take_gigabytes_costs_nothing() -> None:
    text, started = claim_size(10_000), process_time()
    with pytest.raises(Refusal):
        READER.read(json.dumps({**IMAGE.project.contract.example, "image": text}).encode())
    assert process_time() - started < 0.2


@pytest.mark.parametrize(
    "text",
    [
        to_text(noise()),
        to_text(noise().resize((512, 512))),
        to_text(noise(4)),
        to_text(noise(64), "JPEG"),
        to_text(noise().convert("1")),
        to_text(noise().convert("LA")),
    ],
    ids=["as the digits", "large", "small", "JPEG", "black and white", "opaque"],
)
def test_grey_image_is_taken(text: str, fitted: Pipeline) -> None:
    rows, _ = READER.read(json.dumps({**IMAGE.project.contract.example, "image": text}).encode())
    assert rows[0]["image"] == text
    assert pipeline.predict(IMAGE.project, fitted, pd.DataFrame({"image": [text]})).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("mode", "text", "reason"),
    [
        ("colour", to_text(noise()), ["grey, and colour is wanted"]),
        ("colour", to_text(noise(mode="RGB")), []),
        ("colour", to_text(noise(mode="RGB").convert("RGBA")), []),
        ("any", to_text(see_through(noise(mode="RGB"))), [images.TRANSPARENT]),
        ("any", cut_off(to_text(see_through(noise(64)))), [images.BROKEN]),
        ("any", to_text(noise()), []),
        ("any", to_text(noise(mode="RGB"), "JPEG"), []),
    ],
)
def test_contract_says_whether_grey_or_colour_is_wanted(mode: images.Mode, text: str, reason: list[str]) -> None:
    checks = images.image_checks(4, 512, mode)
    broken = [check.error for check in checks if not check(pd.Series([text], dtype="str")).check_passed]
    assert broken == reason


def test_another_limit_is_another_contract() -> None:
    one, other = images.image_checks(4, 512, "grey")[0], images.image_checks(4, 256, "grey")[0]
    assert one.statistics != other.statistics


def test_a_picture_is_upright_whichever_way_the_camera_was_held() -> None:
    picture = Image.new("L", (8, 16))
    turned = Image.Exif()
    turned[0x0112] = 6
    assert images.decode(to_text(picture, "JPEG", exif=turned)).size == (16, 8)


def test_what_no_check_has_kept_out_is_named_and_not_printed() -> None:
    with pytest.raises(ContractError, match=r"^an image of 1,000,000 characters cannot be read \(UnidentifiedImageErr"):
        images.decode("A" * 1_000_000)


def test_images_are_no_categories(digits: pd.DataFrame, fitted: Pipeline) -> None:
    accumulator = validation.PeriodAccumulator(IMAGE.project.contract)
    accumulator.add(digits, digits.head(0).assign(reason=""))
    assert {*accumulator.facts().categories} == {"digit"}
    assert pipeline.known_categories(fitted) == {}


def test_specification_describes_images() -> None:
    image = READER.row_schema()["properties"]["image"]
    assert (image["type"], image["maxLength"]) == ("string", 200_000)
    assert "base64" in image["description"]


def test_encoder_that_reads_texts_cannot_read_images(
    digits: pd.DataFrame, of_pixels: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(IMAGE.project.contract.contents, "image", "text")
    message = r"encoder = 'pixels' reads documents of content 'image', and 'image' in contract.py has content 'text'; "
    with pytest.raises(ConfigError, match=message + "encoders for that: spacy_vectors, tokens, transformer"):
        pipeline.fit(IMAGE.project, digits, Training(), of_pixels)


def test_encoders_are_named_with_what_a_saved_model_needs(model: Model, of_pixels: Model) -> None:
    assert [name for name, each in encoders.ENCODERS.items() if each.reads == "image"] == ["pixels", "vision"]
    assert {"keras", "torch", "pillow"} <= {*pipeline.packages(IMAGE.project, model)}
    assert "keras" not in pipeline.packages(IMAGE.project, of_pixels)


def watched(fitted: Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    return pipeline.watched(fitted, frame[["image_id", *fitted.feature_names_in_]])


def test_what_is_watched_of_an_image_are_a_few_numbers(fitted: Pipeline, digits: pd.DataFrame) -> None:
    assert list(watched(fitted, digits)) == ["image_id", *(f"image ({number})" for number in range(1, 6))]


def drifted(fitted: Pipeline, year: list[tuple[str, pd.DataFrame]], period: pd.DataFrame) -> list[str]:
    """The projections whose distribution is another than that of the year."""
    frames = [(name, watched(fitted, frame)) for name, frame in year]
    whole = pd.concat([frame for _, frame in frames], ignore_index=True)
    binning = drift.choose_binning(IMAGE.project.contract, whole.drop(columns="image_id"))
    reference = drift.count(IMAGE.project.contract, frames, binning)
    found = drift.measure(
        IMAGE.project.contract,
        reference,
        drift.count(IMAGE.project.contract, [("2024-01", watched(fitted, period))], binning),
        0.99,
    )
    return [each.column for each in found if each.drifted]


def test_pictures_of_something_else_drift_and_those_of_digits_do_not(
    fitted: Pipeline, read_digits: Callable[[str], pd.DataFrame]
) -> None:
    # In the order of the set, periods differ by who wrote the digits; shuffled, by nothing.
    whole = pd.concat([read_digits(f"2023-{number:02d}") for number in range(1, 13)]).sample(frac=1, random_state=0)
    parts = [whole.iloc[start : start + 150] for start in range(0, 1350, 150)]
    year = [(f"2023-{number:02d}", part) for number, part in enumerate(parts[:-1], 1)]
    assert len(drifted(fitted, year, parts[-1])) <= 1
    negative = [
        to_text(Image.eval(images.decode(text), lambda value: 255 - value)) for text in parts[-1]["image"].tolist()
    ]
    assert len(drifted(fitted, year, parts[-1].assign(image=negative))) >= 3
