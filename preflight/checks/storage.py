"""The model bucket and its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from preflight.cloud import Bucket, CloudError
from preflight.results import Outcome, failed, passed, skipped, warned
from preflight.site import Site
from settings.model import CreateModelBucket

INDEX: Final = "model.safetensors.index.json"
"""Lists all shards of the weights."""
CONFIG: Final = "config.json"
UNFINISHED: Final = ".incomplete"
"""Suffix of a file that `hf download` has not finished."""
NAMED_MAX: Final = 3
GIB: Final = 2**30


def created(site: Site) -> Outcome:
    """The bucket's name is globally free, or the bucket is this environment's own."""
    name = site.settings.model_bucket.name
    try:
        found = site.cloud.bucket(name)
    except CloudError as error:
        if error.trouble == "missing":
            return passed(f"the name {name} is free")
        if error.trouble == "denied":
            return failed(
                f"the name {name} is taken, by a bucket that you may not see", "choose another modelBucket.name"
            )
        raise
    if site.is_own(found.labels):
        return passed(f"gs://{name} exists and is this environment's own ({found.location})")
    return failed(
        f"gs://{name} exists, and this environment did not make it",
        "set modelBucket.mode: adopt, or choose another modelBucket.name",
    )


def adopted(site: Site) -> Outcome:
    """The bucket exists, has uniform access, and is in the nodes' region."""
    name, region = site.settings.model_bucket.name, site.settings.region
    found = _bucket(site)
    if found is None:
        return failed(f"there is no bucket {name}", "correct modelBucket.name, or set modelBucket.mode: create")
    if not found.uniform_access:
        fix = f"gcloud storage buckets update gs://{name} --uniform-bucket-level-access"
        if site.settings.workload_identity == "direct":
            return failed("uniform bucket-level access is off, and principal:// grants need it", fix)
        return warned("uniform bucket-level access is off: access may come from forgotten object ACLs", fix)
    if found.location.lower() != region:
        return warned(
            f"gs://{name} is in {found.location}, the nodes are in {region}: slow loading, and egress is charged",
            f"copy the weights to a bucket in {region}",
        )
    return passed(f"gs://{name} in {found.location}, uniform access")


def _bucket(site: Site) -> Bucket | None:
    try:
        return site.cloud.bucket(site.settings.model_bucket.name)
    except CloudError as error:
        if error.trouble == "missing":
            return None
        raise


def model(site: Site, name: str) -> Outcome:
    """Index, config and all shards in the index are in the bucket, none of them empty."""
    bucket = site.settings.model_bucket
    files: Mapping[str, int] = {}
    if _bucket(site) is not None:
        files = site.cloud.files(bucket.name, name)
    if INDEX not in files:
        return _nothing_yet(site, name)
    shards = _shards(site.cloud.read(bucket.name, f"{name}/{INDEX}"))
    if shards is None:
        return failed(f"{name}/{INDEX} holds no weight_map", "copy the file again from the model's repository")
    return _complete(site, name, shards, files)


def _complete(site: Site, name: str, shards: Sequence[str], files: Mapping[str, int]) -> Outcome:
    bucket = site.settings.model_bucket
    missing = [file for file in (*shards, CONFIG) if not files.get(file)]
    if missing:
        finding = f"{len(missing)} of {len(shards) + 1} files are missing or empty: {', '.join(missing[:NAMED_MAX])}"
        if len(missing) > NAMED_MAX:
            finding += f" and {len(missing) - NAMED_MAX} more"
        if bucket.download:
            return warned(f"{finding}; the download Job fetches them", "allow half a day for it")
        return failed(finding, f"hf download {name}, then gcloud storage rsync -r DIR gs://{bucket.name}/{name}")
    finding = f"{len(shards)} shards, {sum(files[shard] for shard in shards) / GIB:.1f} GiB"
    unfinished = sum(path.endswith(UNFINISHED) for path in files)
    if unfinished:
        return warned(f"{finding}; {unfinished} unfinished downloads beside them", "delete them, or let it finish")
    return passed(finding)


def _nothing_yet(site: Site, name: str) -> Outcome:
    bucket = site.settings.model_bucket
    where = f"gs://{bucket.name}/{name}/{INDEX}"
    if bucket.download:
        return skipped(f"{where} is not there yet; the program downloads the model")
    fix = f"set modelBucket.download: true, or upload the model's files to gs://{bucket.name}/{name}/"
    if isinstance(bucket, CreateModelBucket):
        return warned(f"{where} is not there yet, and the program does not download it: pods wait for it", fix)
    return failed(f"there is no {where}", fix)


def _shards(content: bytes) -> list[str] | None:
    """Files in the index, or None if it is not an index."""
    try:
        index: Any = json.loads(content)
    except ValueError:
        return None
    weights: Any = cast("dict[str, Any]", index).get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict) or not weights:
        return None
    return sorted({str(shard) for shard in cast("dict[str, Any]", weights).values()})
