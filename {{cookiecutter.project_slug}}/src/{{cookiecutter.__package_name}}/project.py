"""The one object that ties the project together; every stage is handed it."""

from modelworks import Project

from .checks import no_worse_in_bad_weather, weather_is_there
from .contract import CONTRACT
from .features import add_features
from .models import MODEL_TYPES

project = Project(
    contract=CONTRACT,
    features=add_features,
    model_types=MODEL_TYPES,
    data_checks=[weather_is_there],
    release_gates=[no_worse_in_bad_weather],
)
