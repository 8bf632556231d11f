"""What the tables of pipeline.toml have in common."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from modelworks.calendar import EXAMPLES, find_frequency


def _check_period(value: str) -> str:
    if not find_frequency(value):
        raise ValueError(f"no period; write it as one of {', '.join(EXAMPLES.values())}")
    return value


Period = Annotated[str, AfterValidator(_check_period)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """One table of pipeline.toml; the docstring of each setting is its description in the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
