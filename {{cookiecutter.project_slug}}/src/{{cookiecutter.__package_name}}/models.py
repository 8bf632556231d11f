"""The model types that this project may train and tune; `[model] type` names one. Own estimators go here."""

from modelworks.models.types import blend, boosting, forest, linear

MODEL_TYPES = {
    "blend": blend.MODEL_TYPE,
    "boosting": boosting.MODEL_TYPE,
    "forest": forest.MODEL_TYPE,
    "linear": linear.MODEL_TYPE,
}
