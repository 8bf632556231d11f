"""The training data as one page, before a model is trained: columns, gaps, target, and what looks suspicious.

The held-out rows stay unseen: whoever chooses features by them has used them to train.
"""

from modelworks.explore.page import write_page
from modelworks.explore.rows import find_explored

__all__ = ["find_explored", "write_page"]
