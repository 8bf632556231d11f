"""Any table becomes this project's data: what is in it, the contract that follows, and the files of the pipeline."""

from .adopt import adopt, import_file
from .choices import Choices

__all__ = ["Choices", "adopt", "import_file"]
