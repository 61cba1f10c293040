"""The stack config of the bootstrap program: validated, or one message with every problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import pulumi
from pulumi.runtime import config as engine_config
from pydantic import AfterValidator, Field, ValidationError

from reference import buckets, gke
from validation import text_values
from validation.plain_values import to_json
from validation.problems import HIDDEN, Problem, broken, from_pydantic, report
from validation.strict_model import StrictModel
from validation.unknown_keys import UNKNOWN, nearest
from validation.validators import distinct, ruled

PROJECT: Final = "dynamo-a4x-bootstrap"
"""Name of the Pulumi project, and so the namespace of its keys."""
_ENGINE: Final = ("gcp", "pulumi")
"""Namespaces of the provider and the engine, which check their own keys."""


def _formed(pattern: str, rule: str, fix: str) -> Callable[[str], str]:
    def validate(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise broken(rule, fix)
        return value

    return validate


def _numeric(what: str, command: str) -> Callable[[str], str]:
    return _formed(r"[1-9][0-9]{0,18}", f"{what} is a whole number; names can be taken by others", f"ask: {command}")


ProjectId = Annotated[str, AfterValidator(ruled(gke.check_project))]


class GitHub(StrictModel):
    """The repository whose workflows get the identities."""

    repository: Annotated[
        str,
        AfterValidator(
            _formed(
                r"[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}",
                "a repository is written OWNER/NAME",
                "copy it from its address: github.com/OWNER/NAME",
            )
        ),
    ] = Field(description="OWNER/NAME of the repository; only the commands of the output `setVariables` use it")
    repository_id: Annotated[str, AfterValidator(_numeric("a repository's id", "gh api repos/OWNER/NAME --jq .id"))] = (
        Field(description="its numeric id: gh api repos/OWNER/NAME --jq .id")
    )
    owner_id: Annotated[str, AfterValidator(_numeric("an owner's id", "gh api repos/OWNER/NAME --jq .owner.id"))] = (
        Field(description="the numeric id of its owner: gh api repos/OWNER/NAME --jq .owner.id")
    )


class Settings(StrictModel):
    """Everything that the stack config says."""

    project: ProjectId = Field(
        alias="gcp:project", description="the project that holds state, key, pool and identities"
    )
    region: Annotated[str, AfterValidator(ruled(gke.check_region))] = Field(
        alias="gcp:region", description="the region of state bucket and key, such as us-central1"
    )
    state_bucket: Annotated[str, AfterValidator(ruled(buckets.check))] = Field(
        description="the name of the bucket for the stacks' state, without gs://"
    )
    github: GitHub = Field(description="a mapping with repository, repositoryId and ownerId")
    projects: Annotated[tuple[ProjectId, ...], AfterValidator(distinct)] = Field(
        default=(), description="ids of the projects with environments; default: `gcp:project`"
    )
    previews: bool = Field(
        default=True,
        description="whether pull requests get previews, by an identity that required reviewers protect; without a "
        "GitHub plan that has these, set it to false",
    )
    identity_pool: Annotated[
        str,
        AfterValidator(
            _formed(
                r"(?!gcp-)[a-z0-9-]{4,32}",
                "a pool's id has 4 to 32 lower-case letters, digits and hyphens, and does not begin with gcp-",
                "choose a name such as github",
            )
        ),
    ] = Field(default="github", description="the id of the identity pool; Google blocks a deleted one for 30 days")
    key_ring: Annotated[
        str,
        AfterValidator(
            _formed(
                r"[A-Za-z0-9_-]{1,63}",
                "a key ring's name has up to 63 letters, digits, hyphens and underscores",
                "choose a name such as pulumi",
            )
        ),
    ] = Field(default="pulumi", description="the name of the key ring; Google never gives a name back")
    adopt_key: bool = Field(
        default=False, description="whether key ring and key exist, from an earlier stack of this program"
    )
    key_rotation_days: int = Field(
        default=90, ge=1, le=3650, description="the number of days after which the key gets a new version"
    )
    old_versions_days: int = Field(
        default=90, ge=7, le=3650, description="the number of days for which old versions of the state are kept"
    )
    protect: bool = Field(
        default=True, description="whether bucket, key, pool and accounts are protected from deletion"
    )

    @property
    def environments(self) -> tuple[str, ...]:
        """Ids of the projects with environments."""
        return self.projects or (self.project,)

    @property
    def adopted_key_ring(self) -> str | None:
        """Id of the key ring, if it exists."""
        ring = f"projects/{self.project}/locations/{self.region}/keyRings/{self.key_ring}"
        return ring if self.adopt_key else None


class SettingsError(pulumi.RunError):
    """An invalid config. The text is the whole message; `problems` has the parts."""

    def __init__(self, stack: str, problems: list[Problem]) -> None:
        super().__init__(report(f"the config of stack {stack!r}", problems))
        self.problems = problems


def parse(raw: Mapping[str, Any], stack: str) -> Settings:
    """Validate a stack config, given as the `config:` mapping of `Pulumi.<stack>.yaml` or as the engine passes it.

    Raises:
        SettingsError: with every problem found.
    """
    known = {field.alias or name: field.annotation for name, field in Settings.model_fields.items()}
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in raw.items():
        namespace, _, name = key.rpartition(":")
        field = key if key in known else name
        if key in known or (namespace == PROJECT and name in known):
            values[field] = text_values.decoded(value, known[field])
        elif namespace not in _ENGINE:
            problems.append(_unknown(key, name, value, known))
    try:
        settings = Settings.model_validate_json(to_json(values))
    except ValidationError as error:
        raise SettingsError(stack, problems + from_pydantic(error, Settings)) from None
    if problems:
        raise SettingsError(stack, problems)
    return settings


def _unknown(key: str, name: str, value: object, known: Mapping[str, object]) -> Problem:
    if name in known and ":" not in name:
        return Problem(key, value, f"keys of this program need the prefix {PROJECT}:", f"write {PROJECT}:{name}")
    return Problem(name or key, value, UNKNOWN, nearest(name, [field for field in known if ":" not in field]))


def load() -> Settings:
    """Read and validate the config of the running stack.

    Raises:
        SettingsError: an invalid config.
    """
    raw = {**engine_config.get_config_env(), **engine_config.CONFIG.get()}
    # No key of this program is a secret, so one that is stands in the wrong file: its value is not for a message.
    shown = {key: HIDDEN if pulumi.runtime.is_config_secret(key) else value for key, value in raw.items()}
    settings = parse(shown, pulumi.get_stack())
    if settings.project in settings.environments:
        pulumi.log.warn(
            f"gcp:project = {settings.project!r} also holds an environment, in which the deployer administers buckets "
            "and service accounts, and so could also change the state bucket and the other identities. A project of "
            "its own for them prevents that: list those of the environments in `projects`."
        )
    return settings
