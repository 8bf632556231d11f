"""The floor: FastAPI and pydantic with the API's columns, types and ranges, which sends back what it got.

`uvicorn echo_app:app` in the project's environment. A model is made of the API's fields without its settings for JSON,
since FastAPI reads the JSON by itself.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI  # type: ignore[import-not-found]
from flight_delays.serving.payload import Row  # type: ignore[import-not-found]
from pydantic import ConfigDict, create_model

FIELDS: dict[str, Any] = {name: (field.annotation, field) for name, field in Row.model_fields.items()}
Echo: Any = create_model("Echo", __config__=ConfigDict(extra="forbid"), **FIELDS)

app = FastAPI()


async def echo(rows: Any) -> Any:
    """Answer with what was asked."""
    return rows


echo.__annotations__ = {"rows": Echo | list[Echo], "return": Echo | list[Echo]}
app.post("/predict")(echo)
