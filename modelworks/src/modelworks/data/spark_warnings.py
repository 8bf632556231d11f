"""What Spark's package warns of, and the engine does not do."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignoring_pandas_3() -> Iterator[None]:
    """A context without the warnings that pandas-on-Spark does not know pandas 3 yet."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield
