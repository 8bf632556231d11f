"""What a row is. One row is one handwritten digit: a picture of 8 x 8 pixels, light on dark, as PNG in base64.

A row has no time.
"""

from modelworks.contract import Contract, column, identifier, is_image, length, matches, multiclass

CONTRACT = Contract(
    target=multiclass("digit", "the digit that was written", classes=[str(digit) for digit in range(10)]),
    key=["image_id"],
    columns=[
        identifier("image_id", "str", "number of the picture", matches(r"^digit-\d{4}$"), content="text"),
        # Bytes are limited as well as pixels: a file can hold more than its picture.
        column(
            "image",
            "str",
            "picture of a digit, PNG or JPEG in base64",
            length(1, 200_000),
            is_image(4, 512, mode="grey"),
            content="image",
        ),
    ],
    example={
        "image_id": "digit-0000",
        "image": (
            "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAU0lEQVR4AQFIALf/AAAAUM+PEAAAAAAAz++f71AABAAwIDHgEDCwAgAQ0OAA"
            "0QAAAgAQwQAADwAAAgDwLwAQMPAAAAAg31CfvwAAAAAAYM+fAAAAoPgR8aeW5ecAAAAASUVORK5CYII="
        ),
    },
)
