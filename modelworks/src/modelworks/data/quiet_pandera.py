"""pandera, imported without a warning that is not about us.

Where Spark's package is installed, pandera imports `pyspark.pandas`, which the engine never uses and which warns that
it does not know pandas 3 yet.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    import pandera.pandas as pa

__all__ = ["pa"]
