"""The floor: FastAPI and pydantic with the API's columns, types and ranges, which sends back what it got.

`uvicorn echo_app:create_app --factory` in the project's folder and environment. A model is made of the API's fields
without its settings for JSON, since FastAPI reads the JSON by itself.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI  # type: ignore[import-not-found]
from pydantic import ConfigDict, create_model

from modelworks.project import load_project
from modelworks.serving.file_forms import FileForms
from modelworks.serving.row_schema import build_row_type, logged_columns
from modelworks.settings import find_home


def create_app() -> Any:
    """An app that answers with what was asked."""
    contract = load_project(find_home()).contract
    fields = build_row_type(contract, FileForms(contract, logged_columns(contract), None)).__annotations__
    row: Any = create_model("Row", __config__=ConfigDict(extra="forbid"), **fields)

    async def echo(rows: Any) -> Any:
        return rows

    echo.__annotations__ = {"rows": row | list[row], "return": row | list[row]}
    app = FastAPI()
    app.post("/predict")(echo)
    return app
