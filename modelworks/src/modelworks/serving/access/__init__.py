"""Access to the API: by which name it is called, by whom, with which scopes, and how often."""

from modelworks.serving.access.authentication import Access
from modelworks.serving.access.middleware import AccessMiddleware

__all__ = ["Access", "AccessMiddleware"]
