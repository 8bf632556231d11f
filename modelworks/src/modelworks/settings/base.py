"""What the tables of pipeline.toml have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Period = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """One table of pipeline.toml; the docstring of each setting is its description in the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
