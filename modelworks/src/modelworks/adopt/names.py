"""What the names of columns say."""

import re

ID = re.compile(r"(^|[\W_])(id|ids|uuid|guid|key|index|unnamed|row|nr|no|number)([\W_]|$)|[a-z]I[Dd]$", re.IGNORECASE)
"""Names of columns that number or identify rows."""
