"""What the workflows need to know: repository variables, and the commands that set them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import pulumi


def variables(
    provider: pulumi.Input[str], bucket: pulumi.Input[str], emails: Mapping[str, pulumi.Input[str]]
) -> dict[str, pulumi.Output[str]]:
    """The repository variables that `.github/workflows` reads. None of them is a secret."""
    return {
        "WORKLOAD_IDENTITY_PROVIDER": pulumi.Output.from_input(provider),
        "PULUMI_BACKEND_URL": pulumi.Output.concat("gs://", bucket),
        **{f"{name.upper()}_ACCOUNT": pulumi.Output.from_input(email) for name, email in emails.items()},
    }


def commands(repository: str, values: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[list[str]]:
    """A `gh variable set` command for each of `values`."""

    def write(known: Mapping[str, str]) -> list[str]:
        return [
            shlex.join(["gh", "variable", "set", name, "--repo", repository, "--body", value])
            for name, value in known.items()
        ]

    return pulumi.Output.all(**values).apply(write)
