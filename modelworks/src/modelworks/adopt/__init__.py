"""Any table becomes the project's data: its profile, the contract that follows, and the files of the pipeline."""

from modelworks.adopt.adoption import adopt
from modelworks.adopt.choices import Choices
from modelworks.adopt.importing import import_file

__all__ = ["Choices", "adopt", "import_file"]
