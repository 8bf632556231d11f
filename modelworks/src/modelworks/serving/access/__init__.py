"""Who gets in: which name the API is called by, who calls it, what they may ask for, and how often."""

from modelworks.serving.access.doorkeeper import Access
from modelworks.serving.access.gate import Gate

__all__ = ["Access", "Gate"]
