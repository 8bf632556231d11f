"""pandera, imported without a warning of Spark's package, where that is installed.

pandera imports `pyspark.pandas`, which the engine never uses, and which warns that it does not know pandas 3 yet.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignoring_pandas_3() -> Iterator[None]:
    """A context without Spark's warnings about pandas 3."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


with ignoring_pandas_3():
    import pandera.pandas as pa

__all__ = ["ignoring_pandas_3", "pa"]
