"""The state of the project as one HTML page: what serves, how well, and what was found, decided and released."""

from .page import to_html, write_report

__all__ = ["to_html", "write_report"]
