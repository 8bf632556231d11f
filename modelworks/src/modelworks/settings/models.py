"""The tables of pipeline.toml about models: training, model, tuning, evaluation and gates."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from modelworks.settings.base import Fraction, Section

ApprovalMode = Literal["never", "always", "on_warning"]


def _check_scalar(value: Any) -> bool | int | float | str:
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError("neither a number nor a text nor true or false")


Scalar = Annotated[Any, AfterValidator(_check_scalar)]


class Training(Section):
    """The rows that a model is trained on."""

    window: int = Field(0, ge=0)
    """Periods to train on, before the held-out ones; 0: all."""
    holdout: float | None = Field(None, gt=0)
    """What only evaluation reads: so many of the newest periods; or, where rows have no time, a share of the rows. By
    default 1 period, or 0.2 of the rows."""
    max_rows: int = Field(0, ge=0)
    """Rows to train and evaluate on, sampled by their key; 0: all, in memory at once."""
    spark_workers: int = Field(0, ge=0)
    """Workers of XGBoost on Spark, which train on all rows, each in a task; tuning and evaluation keep to `max_rows`.
    0: one process trains. Wants `[compute] executor = "spark"` and a master as `spark_url`."""
    features: list[str] = Field(default_factory=list)
    """Names from the contract; []: all its features."""
    trend: bool = False
    """Whether the time itself is a feature, in days, for a target whose level moves. Linear models extrapolate it;
    trees hold the last level."""
    seed: int = Field(2013, ge=0, lt=2**32)
    """Seed of everything random."""
    threads: int = Field(1, ge=0)
    """Threads of a fit, and of scores; 0: as many as there are cores."""

    @field_validator("holdout")
    @classmethod
    def _is_periods_or_share(cls, value: float | None) -> float | None:
        if value is not None and value >= 1 and not value.is_integer():
            raise ValueError("neither a whole number of periods, such as 1, nor a share of the rows, such as 0.2")
        return value


class Model(Section):
    """The model type, its parameters and its preprocessing."""

    type: str = Field("boosting", pattern=r"^[a-z]\w*$")
    """Model type to train, a name of models.py."""
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    """Parameters of the model type, and of the encoder; each has a default. Tuning gives those to the other model types
    that have one of the same name."""
    encoding: Literal["native", "onehot", "target"] | None = None
    """Encoding of categories: "native", "onehot" or "target" (their mean of it); by default the model type's own."""
    imputation: Literal["native", "median", "mean"] | None = None
    """Imputation of gaps in numbers: "native", "median" or "mean"; by default the model type's own."""
    scaling: Literal["none", "standard", "squashing"] | None = None
    """Scaling of numbers: "none", "standard" or "squashing" (robust); by default the model type's own."""
    encoder: str = Field("transformer", pattern=r"^[a-z]\w*$")
    """Encoder of texts or images: a module of modelworks.models.encoders."""
    selected_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the features to keep, those with the most information about the target."""


class Tuning(Section):
    """Hyperparameter tuning, on folds of the training rows."""

    trials: int = Field(0, ge=0)
    """Trials of each model type; 0: no tuning, [model] is used as it is."""
    seconds: int = Field(300, ge=1, le=10**7)
    """Seconds of a processor for each model type; no trial begins that would take longer."""
    model_types: list[str] = Field(default_factory=list)
    """Model types to tune, names of models.py; []: all."""
    folds: int = Field(3, ge=2, le=10)
    """Spans of time, or groups or rows by chance, that a trial is measured on."""
    significance: float = Field(0.1, gt=0, lt=0.5)
    """Significance level: above this p-value of the best trial, after the multiple-comparison correction, [model]
    stays."""
    prefer: Literal["best", "simplest"] = "best"
    """The "best" model, or the "simplest" within one standard error of the best."""


class Evaluation(Section):
    """How a model is measured on the held-out rows."""

    bootstrap_resamples: int = Field(1000, ge=100)
    """Bootstrap resamples of days, groups or rows, for the intervals."""
    interval_level: float = Field(0.95, gt=0.5, lt=1)
    """Confidence level of the intervals."""
    min_slice_rows: int = Field(300, ge=1)
    """Rows of a slice that gates read; smaller ones are only reported."""
    decision_threshold: Fraction = 0.5
    """Probability from which the decision is the positive class: in precision and recall, in scores and in the API."""


class Limits(Section):
    """The limits of one metric."""

    min: float | None = None
    """Floor."""
    max: float | None = None
    """Ceiling."""

    @model_validator(mode="after")
    def _in_order(self) -> "Limits":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Fairness(Section):
    """Groups whose rates of decisions and errors are compared on the held-out rows; off unless columns are named."""

    columns: list[str] = Field(default_factory=list)
    """Columns of the contract whose values are the groups, features or not; []: fairness is not measured."""
    limits: dict[str, Limits] = Field(default_factory=dict)
    """Limits by disparity, such as `selection_rate_ratio = { min = 0.8 }`; {}: the disparities are reported, and refuse
    no model."""


class Gates(Section):
    """What a model has to show before it is released; losses of numbers are in variances."""

    metrics: dict[str, Limits] = Field(default_factory=dict)
    """Limits by metric, such as `roc_auc = { min = 0.60, max = 0.85 }`. The defaults: of classes, this one and
    `calibration_error = { max = 0.15 }`; of numbers, `r2 = { min = 0.0, max = 0.99 }` and `bias = { min = -0.15, max =
    0.15 }`; `{}` removes them."""
    fairness: Fairness = Fairness()
    """Disparities between groups of rows."""
    min_gain_over_baseline: float = 0.0
    """Gain over the baseline in log loss, nats; the near end of its interval has to exceed it."""
    max_loss_over_champion: Annotated[float, Field(ge=0)] = 0.01
    """Loss over the champion in log loss, nats; the far end of its interval has to stay below it."""
    max_slice_loss_over_champion: Annotated[float, Field(ge=0)] = 0.05
    """The same on any one slice."""
    approval: ApprovalMode = "never"
    """Ask a person: "never", "always", or "on_warning", if a check left a warning."""
    approval_timeout_hours: float = Field(72, gt=0)
    """Hours to wait for an answer; without one, the model is rejected."""
