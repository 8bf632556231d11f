"""The API's OpenAPI specification: problems by status, and the body of a request."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from modelworks.contract import Contract
from modelworks.serving.access import Access
from modelworks.serving.access.middleware import OPEN
from modelworks.serving.payload import RequestReader
from modelworks.serving.problems import Problem

Responses = dict[int | str, dict[str, Any]]

BAD_REQUEST: Responses = {
    400: {"model": Problem, "description": "The body is not JSON"},
    413: {"model": Problem, "description": "Too many bytes or rows"},
    415: {"model": Problem, "description": "The body is not declared as application/json"},
    422: {
        "model": Problem,
        "description": "A row breaks the contract; each field is named. Or the model cannot be explained",
    },
}
NO_MODEL: Responses = {503: {"model": Problem, "description": "No model is loaded yet"}}
EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "Add each feature's contribution to the margin. Refused (422) where the model is no sum of these",
    "schema": {"type": "boolean", "default": False},
}
NOT_LET_IN = {
    "401": "A key or a token is needed, or the one that was sent is not accepted",
    "403": "The key or token has another scope; or the API has no keys and answers its own computer only",
    "421": "The API is not called by the name in `Host`",
    "429": "Too many requests of this key or token",
}
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of the issuer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name, and an API key as the password"},
}
PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
ROW_REFERENCE = "#/components/schemas/Row"


def describe(contract: Contract) -> str:
    """What the API is for, at the top of its pages."""
    return f"""
{contract.purpose}.

The fields of a row, with their units and what is allowed in them, are under `Row` below. Every answer that is not a
prediction is a `Problem`, which names the field.
"""


def add_specification(contract: Contract, app: FastAPI, reader: RequestReader, access: Access) -> None:
    """Let an app's specification hold the contract's row."""
    body = {
        "schema": reader.body_schema(ROW_REFERENCE),
        "examples": {"one row": {"value": contract.example}, "many rows": {"value": [contract.example] * 2}},
    }

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = described = get_openapi(
                title=app.title, version=contract.version, description=app.description, routes=app.routes
            )
            # Added last: FastAPI drops every null, and so would make an example that lacks columns.
            described["components"]["schemas"]["Row"] = reader.row_schema()
            described["paths"]["/predict"]["post"] |= {
                "parameters": [EXPLAIN],
                "requestBody": {"required": True, "content": {"application/json": body}},
            }
            _add_security(described, access.asks)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_security(described: dict[str, Any], is_needed: bool) -> None:
    """Describe keys and tokens; where they are not needed, none is one of the ways."""
    described["components"]["securitySchemes"] = SECURITY_SCHEMES
    ways: list[dict[str, list[str]]] = [{each: []} for each in SECURITY_SCHEMES]
    if not is_needed:
        ways.insert(0, {})
    for path, methods in described["paths"].items():
        for call in methods.values():
            call["security"] = [] if path in OPEN else ways
            if path not in OPEN:
                refused = {
                    status: {"description": description, "content": PROBLEM}
                    for status, description in NOT_LET_IN.items()
                }
                call["responses"] = dict(sorted({**call["responses"], **refused}.items()))
