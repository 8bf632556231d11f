"""The prediction API; ``uvicorn <package>.serving:create_app --factory`` starts it."""

from .api import create_app

__all__ = ["create_app"]
