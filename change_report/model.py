"""The report as data: bounded, strict, without Markdown.

It is the artifact of a pull-request check and so comes from code that nobody has reviewed: who reads it validates it
with `Report.model_validate_json`, and `markdown` escapes every text in it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

FORMAT: Final = 1
"""Version of the format. A report of another one is refused."""
LONGEST: Final = 400
"""Characters of a value; what is longer ends with an ellipsis."""
MOST: Final = 400
"""Entries of a list."""
ENVIRONMENTS: Final = 50
LONGEST_MESSAGE: Final = 4000

Op: TypeAlias = Literal["create", "update", "replace", "delete", "rerun"]
"""`rerun`: a Job is replaced because it cannot be started twice."""
What: TypeAlias = Literal["cluster", "node pool", "graph", "bucket", "platform"]

Text: TypeAlias = Annotated[str, StringConstraints(max_length=LONGEST)]
Message: TypeAlias = Annotated[str, StringConstraints(max_length=LONGEST_MESSAGE)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
Amount: TypeAlias = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class FieldChange(_Model):
    """One field whose value differs."""

    path: Text
    before: Text | None = None
    """None: the field did not exist."""
    after: Text | None = None
    """None: the field is gone."""


class Resource(_Model):
    """One resource that changes."""

    op: Op
    kind: Text
    """Last word of the type, such as `NodePool`."""
    name: Text
    """Logical name in the program."""
    fields: Annotated[tuple[FieldChange, ...], Field(max_length=MOST)] = ()
    """What differs in its inputs; empty for what is created or deleted."""


class Impact(_Model):
    """Something with GPUs or data that is replaced, deleted, or taken down."""

    op: Literal["replace", "delete", "update"]
    what: What
    name: Text
    gpus: Count
    """GPUs that do not serve meanwhile."""
    roles: Annotated[tuple[Text, ...], Field(max_length=MOST)] = ()
    """Of a graph that is updated: the roles that have no pod meanwhile."""


class Stack(_Model):
    """A serving stack that changes."""

    name: Text
    op: Op
    layouts: tuple[Text, Text]
    """Name of its layout, before and after; empty where there is none."""
    gpus: tuple[Count, Count]
    """GPUs of its workers, before and after."""
    fields: Annotated[tuple[FieldChange, ...], Field(max_length=MOST)] = ()
    """What differs in its graph and in the arguments of its workers."""
    down_minutes: Amount | None = None
    """About how long it does not answer; None: it answers all the time, or not known."""


class Environment(_Model):
    """One environment (Pulumi stack)."""

    name: Text
    base: Literal["deployed", "absent", "failed"] = "deployed"
    """`absent`: the base has no such stack file; `failed`: the base could not be deployed here."""
    base_error: Message = ""
    error: Message = ""
    """Why the change does not go through; empty if it does."""
    failed: Literal["", "config", "preview", "up"] = ""
    """Where."""
    removed: bool = False
    """Whether the change removes the stack file."""
    config: Annotated[tuple[FieldChange, ...], Field(max_length=MOST)] = ()
    gpus: tuple[Count, Count] = (0, 0)
    """GPUs of its node pools, before and after."""
    price: tuple[Amount | None, Amount | None] = (None, None)
    """Of those GPUs, an hour, in the currency of `pricePerGpuHour`; None where no price is given."""
    unset_secrets: Annotated[tuple[Text, ...], Field(max_length=MOST)] = ()
    """Secrets of the program that the stack file does not set; the rehearsal makes them up."""
    removed_secrets: Annotated[tuple[Text, ...], Field(max_length=MOST)] = ()
    """Those of them that the base's stack file sets."""
    unprotected: Annotated[tuple[Text, ...], Field(max_length=MOST)] = ()
    """Resources that lose the protection from deletion."""
    impacts: Annotated[tuple[Impact, ...], Field(max_length=MOST)] = ()
    stacks: Annotated[tuple[Stack, ...], Field(max_length=MOST)] = ()
    resources: Annotated[tuple[Resource, ...], Field(max_length=2 * MOST)] = ()
    unchanged: Count = 0
    warnings: Annotated[tuple[Message, ...], Field(max_length=MOST)] = ()
    """New warnings of the program: those of the base are left out."""


class Report(_Model):
    """The whole report."""

    format: Literal[1] = FORMAT
    base: Text
    """Commit that was compared with."""
    head: Text
    packages: Annotated[tuple[FieldChange, ...], Field(max_length=MOST)] = ()
    """Requirements that differ. Both sides were run with the packages of the change."""
    project: Annotated[tuple[FieldChange, ...], Field(max_length=MOST)] = ()
    """What differs in Pulumi.yaml."""
    environments: Annotated[tuple[Environment, ...], Field(max_length=ENVIRONMENTS)]


def short(text: str, limit: int = LONGEST) -> str:
    """A text that fits into a field."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"
