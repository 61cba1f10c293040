"""The pydantic model that every reader of user data derives from: frozen, strict, no unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class StrictModel(BaseModel):
    """Field names in Python, camelCase keys in YAML; `"2"` is not a number and `true` is not a string."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=False,
        allow_inf_nan=False,
    )
