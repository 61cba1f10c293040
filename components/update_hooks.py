"""Hooks that announce in a preview what an update does to what runs.

An update hook gets the old and new inputs, in previews too. Its warning appears in the diagnostics of `pulumi preview`
and `pulumi up`. There are deliberately no delete hooks: with one, `pulumi destroy` requires `--run-program`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

Inputs = Mapping[str, Any]


def announcing(name: str, said: Callable[[Inputs, Inputs], str | None]) -> pulumi.ResourceHookBinding:
    """A hook that warns with what `said` makes of the old and new inputs; None: nothing."""

    def warn(args: pulumi.ResourceHookArgs) -> None:
        text = said(args.old_inputs or {}, args.new_inputs or {})
        if text:
            pulumi.log.warn(text)

    options = pulumi.ResourceHookOptions(on_dry_run=True, ignore_errors=True)
    return pulumi.ResourceHookBinding(before_update=[pulumi.ResourceHook(name, warn, options)])
