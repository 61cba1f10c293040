"""All rules of the pack."""

from __future__ import annotations

from typing import Final

from policy import a4x, cleartext, cluster, iam, images, objects

RULES: Final = (*a4x.RULES, *cluster.RULES, *iam.RULES, *images.RULES, *objects.RULES, *cleartext.RULES)
