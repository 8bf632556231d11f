"""What a row is. One row is one change in Node.js: its title, as its author wrote it.

A period's rows are those of the releases of that month; a row has no time of its own.
"""

from modelworks.contract import Contract, column, identifier, in_script, length, matches, multiclass, one_of, unused

CONTRACT = Contract(
    target=multiclass(
        "area", "part of Node.js that the change belongs to", classes=["deps", "doc", "lib", "src", "test", "tools"]
    ),
    key=["commit"],
    slices=["kind"],
    columns=[
        identifier(
            "commit", "str", "commit in Node.js, its first ten digits", matches(r"^[0-9a-f]{10}$"), content="text"
        ),
        unused("version", "str", "first release that has the change", matches(r"^\d+\.\d+\.\d+$"), content="text"),
        # The network was trained on English: it encodes another script to numbers without meaning.
        column(
            "title",
            "str",
            "what was changed, in a line",
            length(1, 2000),
            matches(r"\s*\S"),
            in_script("LATIN"),
            content="text",
        ),
        column("kind", "str", "part of the version that the change raises", one_of("patch", "minor", "major")),
    ],
    example={
        "commit": "c868e36385",
        "title": "add digest name to INVALID_DIGEST errors",
        "kind": "patch",
    },
)
