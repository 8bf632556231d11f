"""How much each feature contributes to a prediction: contributions that sum, with a base, to the model's margin."""

from modelworks.models.explanations.explainer import Explainer, Explanation

__all__ = ["Explainer", "Explanation"]
