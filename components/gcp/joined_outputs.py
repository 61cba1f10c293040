"""Order without `depends_on`: a value that resolves once other outputs have."""

from __future__ import annotations

from typing import Any, TypeVar

import pulumi

T = TypeVar("T")


def once(value: pulumi.Output[T], *others: pulumi.Output[Any]) -> pulumi.Output[T]:
    """`value`, resolved together with `others`: what uses it is created after both and deleted before both.

    Pass outputs that are known in a preview (given names), or `value` becomes unknown in previews.
    """

    def first(values: Any) -> Any:
        return values[0]

    return pulumi.Output.all(value, *others).apply(first)
