"""Order without `depends_on`: a value that is handed out once other things stand."""

from __future__ import annotations

from typing import Any, TypeVar

import pulumi

T = TypeVar("T")


def once(value: pulumi.Output[T], *stand: pulumi.Output[Any]) -> pulumi.Output[T]:
    """`value`, resolved together with `stand`, so that whoever uses it waits for both and is destroyed before
    both.

    Pass outputs that a preview knows (names that were given), or `value` becomes unknown at preview.
    """

    def first(values: Any) -> Any:
        return values[0]

    return pulumi.Output.all(value, *stand).apply(first)
