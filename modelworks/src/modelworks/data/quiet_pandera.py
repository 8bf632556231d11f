"""pandera, which imports pandas-on-Spark where that is installed, without the warnings of that import."""

from modelworks.data.spark_warnings import ignoring_pandas_3

with ignoring_pandas_3():
    import pandera.pandas as pa

__all__ = ["pa"]
