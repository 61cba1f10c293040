"""State bucket, key, identity pool and the identities of the team's workflows.

settings -> APIs -> state (bucket and key) -> identity pool -> one identity for each workflow -> outputs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi

# The engine puts this folder on the module path, and the packages that both programs share are beside it.
ROOT = str(Path(__file__).resolve().parent.parent)
if sys.path[0] != ROOT:
    sys.path.insert(0, ROOT)

from bootstrap import outputs, trust  # noqa: E402
from bootstrap import settings as config  # noqa: E402
from bootstrap.apis import Apis  # noqa: E402
from bootstrap.identities import GithubPool, Identity  # noqa: E402
from bootstrap.roles import IDENTITIES  # noqa: E402
from bootstrap.state_store import StateStore  # noqa: E402

settings = config.load()
names = trust.identities(previews=settings.previews)

project = Apis("apis", {"project": settings.project}).project
store = StateStore(
    "state",
    {
        "project": project,
        "region": settings.region,
        "bucket": settings.state_bucket,
        "key_ring": settings.key_ring,
        "adopted": settings.adopted_key_ring,
        "old_versions_days": settings.old_versions_days,
        "rotation_days": settings.key_rotation_days,
        "protect": settings.protect,
    },
)
pool = GithubPool(
    "github",
    {
        "project": project,
        "pool": settings.identity_pool,
        "repository_id": settings.github.repository_id,
        "owner_id": settings.github.owner_id,
        "identities": names,
        "protect": settings.protect,
    },
)
identities = {
    name: Identity(
        name,
        {
            "project": project,
            "rights": IDENTITIES[name],
            "environments": settings.environments,
            "bucket": store.bucket,
            "key": store.key,
            "workflows": pool.members[name],
            "protect": settings.protect,
        },
    )
    for name in names
}

variables = outputs.variables(pool.provider, store.bucket, {name: made.email for name, made in identities.items()})
pulumi.export("variables", variables)
pulumi.export("setVariables", outputs.commands(settings.github.repository, variables))
pulumi.export("secretsProvider", store.secrets_provider)
