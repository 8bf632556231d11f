"""Train the network of the image example to distinguish printed characters.

    python tools/image_backbone.py FONTS examples/image/weights/characters.keras

FONTS has a folder for each of `PACKAGES`, of its name, with what is in the package in Debian 12 (`apt-get download`,
then `dpkg-deb -x`). Takes minutes on one core, in an environment with Keras and PyTorch. No image of the example is
looked at.
"""

from __future__ import annotations

import os
import random
import string
import sys
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras  # type: ignore[import-not-found]
import numpy as np  # type: ignore[import-not-found]
from PIL import Image, ImageDraw, ImageFilter, ImageFont  # type: ignore[import-not-found]

PACKAGES = """
averia-sans-gwf breip bwht cabin cantarell comfortaa comic-neue courier-prime crosextra-caladea crosextra-carlito
dancingscript dejavu-core dkg-handwriting ecolier-court gfs-neohellenic humor-sans inconsolata kaushanscript kristi lato
leckerli-one liberation2 linuxlibertine lobster lobstertwo okolaks oldstandard open-sans play prociono quicksand
sil-andika yanone-kaffeesatz yusei-magic
""".split()
"""Without `fonts-`; under the SIL Open Font License, Apache 2.0, Bitstream's licence or in the public domain."""

CHARACTERS = string.digits + string.ascii_letters
CANVAS, BITMAP, SMALL, SIDE = 84, 32, 8, 16
"""Sides in pixels: of the sheet, of a character cut out, of what is left of it, as of a digit; of what is read."""
DRAWINGS = 6  # of each character in each font
EPOCHS, BATCH_ROWS, SEED = 6, 128, 2013


def find_fonts(folder: Path) -> list[ImageFont.FreeTypeFont]:
    """The fonts of the packages, without those that draw frames around the characters."""
    files = [file for name in PACKAGES for file in sorted((folder / f"fonts-{name}").rglob("*.[to]tf"))]
    fonts = [ImageFont.truetype(file, 48) for file in files if not file.is_symlink()]
    return [font for font in fonts if not font.getname()[0].endswith(("Initials O", "Keyboard O"))]


def draw(font: ImageFont.FreeTypeFont, character: str, chance: random.Random) -> np.ndarray:
    """A character, distorted at random, as the network reads it: light on dark, shape (SIDE, SIDE)."""
    image, middle = Image.new("L", (CANVAS, CANVAS)), CANVAS // 2
    ImageDraw.Draw(image).text((middle, middle), character, 255, font, anchor="mm")
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        image = image.filter(ImageFilter.MaxFilter(3))
    image = image.rotate(chance.gauss(0, 9), Image.Resampling.BILINEAR)
    shear, bend = chance.gauss(0, 0.2), chance.gauss(0, 0.1)
    image = image.transform(
        image.size,
        Image.Transform.AFFINE,
        (1, shear, -middle * shear, bend, 1, -middle * bend),
        Image.Resampling.BILINEAR,
    )
    image = wave(image, chance)
    box = image.getbbox() or (0, 0, CANVAS, CANVAS)
    # The digits fill their height, and their width as they are wide.
    high = chance.randint(26, BITMAP)
    wide = min(max(round(high * (box[2] - box[0]) / (box[3] - box[1]) * chance.uniform(0.8, 1.3)), 4), BITMAP)
    fitted = image.crop(box).resize((wide, high), Image.Resampling.BILINEAR)
    bitmap = Image.new("L", (BITMAP, BITMAP))
    bitmap.paste(
        fitted,
        ((BITMAP - wide) // 2 + chance.randint(-2, 2), (BITMAP - high) // 2 + chance.randint(-2, 2)),
    )
    small = bitmap.point(lambda value: 255 * (value > 110)).resize((SMALL, SMALL), Image.Resampling.BOX)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def wave(image: Image.Image, chance: random.Random) -> Image.Image:
    """The image, warped: a few points of it are pulled as on a rubber sheet."""
    ends = [0, CANVAS // 3, 2 * CANVAS // 3, CANVAS]
    pulled = {(x, y): (x + chance.gauss(0, 3), y + chance.gauss(0, 3)) for x in ends for y in ends}
    mesh = [
        (
            (left, top, right, bottom),
            (*pulled[left, top], *pulled[left, bottom], *pulled[right, bottom], *pulled[right, top]),
        )
        for left, right in pairwise(ends)
        for top, bottom in pairwise(ends)
    ]
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def make_network() -> tuple[keras.Model, keras.Model]:
    """The network that is kept, and the same with the layer that names the character."""
    pixels = keras.Input((SIDE, SIDE, 1), name="pixels")
    layer = keras.layers.Rescaling(1 / 255, name="scaled")(pixels)
    for number, (width, is_last) in enumerate([(24, True), (40, False), (40, True), (64, False)]):
        layer = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"convolution_{number}")(layer)
        layer = keras.layers.BatchNormalization(name=f"normal_{number}")(layer)
        layer = keras.layers.Activation("relu", name=f"positive_{number}")(layer)
        if is_last:
            layer = keras.layers.MaxPooling2D(name=f"smaller_{number}")(layer)
    layer = keras.layers.AveragePooling2D(2, name="parts")(layer)
    numbers = keras.layers.Flatten(name="numbers")(layer)
    named = keras.layers.Dense(len(CHARACTERS), name="named")(keras.layers.Dropout(0.3, name="dropout")(numbers))
    return keras.Model(pixels, numbers, name="characters"), keras.Model(pixels, named)


def main(fonts: Path, output: Path) -> None:
    """Train and save the network."""
    chance = random.Random(SEED)  # noqa: S311 - of drawings, not of secrets
    keras.utils.set_random_seed(SEED)
    found = find_fonts(fonts)
    pictures = np.stack([
        draw(font, character, chance) for font in found for character in CHARACTERS for _ in range(DRAWINGS)
    ])
    names = np.tile(np.repeat(np.arange(len(CHARACTERS)), DRAWINGS), len(found))
    print(f"{len(pictures):,} drawings in {len(found)} fonts", flush=True)
    kept, whole = make_network()
    steps = EPOCHS * -(-len(pictures) // BATCH_ROWS)
    falling = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    whole.compile(keras.optimizers.AdamW(falling, weight_decay=1e-3), loss, metrics=["accuracy"], jit_compile=False)
    whole.fit(pictures[..., None].astype("float32"), names, BATCH_ROWS, EPOCHS, verbose=2)
    output.parent.mkdir(parents=True, exist_ok=True)
    kept.save(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
