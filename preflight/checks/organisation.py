"""Organisation policies: which of those in force would refuse what the config asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from preflight.cloud import CloudError, OrgPolicy
from preflight.results import Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import encryption, iam, networks
from reference.organisation_policies import CONSTRAINTS, NODE_IMAGES, Concern, Constraint
from settings.model import CreateCluster, CreateDynamo, CreateModelBucket
from settings.network import CreateNetwork

HIERARCHY: Final = ("under:folders/", "under:organizations/", "in:")
"""Prefixes of a value that stands for many, which only Google can expand."""


def policies(site: Site) -> Outcome:
    """No policy in force forbids what the config asks for."""
    concerns, wrong, doubtful, looked = _concerns(site), list[Constraint](), list[Constraint](), 0
    found: dict[str, OrgPolicy | None] = {}
    refused: dict[Constraint, list[str]] = {}
    for constraint in CONSTRAINTS:
        ours = concerns.get(constraint.concern, ())
        if not ours:
            continue
        if constraint.name not in found:
            try:
                found[constraint.name] = _policy(site, constraint.name)
            except CloudError as error:
                if error.trouble in {"denied", "off"}:
                    return skipped(f"not read: {error}; roles/orgpolicy.policyViewer lets you read them")
                raise
        looked += 1
        policy = found[constraint.name]
        values = [] if policy is None else [value for value in ours if violates(policy, value)]
        if values:
            refused[constraint] = values
            (wrong if constraint.certain else doubtful).append(constraint)
    if not refused:
        return passed(f"none of {looked} that matter here is violated")
    told = [*wrong, *doubtful]
    finding = "; ".join(f"{one.name} forbids {one.hits} ({', '.join(refused[one])})" for one in told)
    fix = "; ".join(dict.fromkeys(one.fix for one in told))
    return failed(finding, fix) if wrong else warned(finding, fix)


def violates(policy: OrgPolicy, value: str) -> bool:
    """Whether a policy forbids a value. What it says of folders, organisations and groups of locations is not expanded:
    a value that they may allow is taken for allowed.
    """
    if policy.enforced or policy.denies_all:
        return True
    forms = {value, f"is:{value}", f"under:{value}", f"in:{value}-locations"}
    if forms & policy.denied:
        return True
    unknown = any(allowed.startswith(HIERARCHY) for allowed in policy.allowed)
    return bool(policy.allowed) and not forms & policy.allowed and not unknown


def _policy(site: Site, constraint: str) -> OrgPolicy | None:
    """The policy in force; None if the project has no such constraint."""
    try:
        return site.cloud.org_policy(site.settings.project, constraint)
    except CloudError as error:
        if error.trouble == "missing":
            return None
        raise


def _concerns(site: Site) -> Mapping[Concern, Sequence[str]]:
    """What the config asks for, by what policies are about: values of lists, and for switches what is switched."""
    settings, cluster = site.settings, site.settings.cluster
    given, keys = settings.identities, settings.encryption.keys
    creates, project = isinstance(cluster, CreateCluster), settings.project
    pools = creates or bool(settings.created_domains)
    concerns: dict[Concern, Sequence[str]] = {
        "apis": settings.apis,
        "locations": (settings.region,) if pools or isinstance(settings.model_bucket, CreateModelBucket) else (),
        "services without a key": _unencrypted(site),
        "projects of keys": sorted({f"projects/{encryption.parse(key).project}" for key in keys.values()}),
    }
    if pools:
        owner = iam.project_of(given.node_service_account) if given.node_service_account else None
        concerns |= {
            "accounts of nodes": () if given.node_service_account else ("identities.nodeServiceAccount",),
            "another project's account": () if owner in {None, project} else (str(owner),),
            "nodes that forward packets": (f"projects/{project}",),
            "images of nodes": (NODE_IMAGES,),
            "machines without confidential computing": ("compute.googleapis.com", "container.googleapis.com"),
            "serial port": (f"projects/{project}",),
        }
    if isinstance(cluster, CreateCluster):
        concerns |= {
            "secrets without a key": () if "secrets" in keys else (cluster.name,),
            "no security group": () if cluster.security_group else (cluster.name,),
            "control plane by IP address": () if cluster.endpoint == "dns-only" else (cluster.name,),
            "dataplane v2": (cluster.name,),
            **_own_networks(cluster, project),
        }
    if site.host is not None:
        places = [networks.subnetwork(path) for path in site.shared_subnetworks()]
        region = settings.region
        concerns |= {
            "host project": (f"projects/{site.host}",),
            "shared subnetworks": [
                f"projects/{site.host}/regions/{place.region or region}/subnetworks/{place.name}" for place in places
            ],
        }
    if settings.workload_identity == "serviceAccount":
        made = (settings.stacks and not given.model_reader) or (
            settings.model_bucket.download and not given.model_writer
        )
        concerns["accounts of pods"] = ("workloadIdentity: serviceAccount",) if made else ()
    elif given.iam == "write" and settings.stacks:
        concerns["principals of pods"] = (f"{project}.svc.id.goog",)
    return concerns


def _own_networks(cluster: CreateCluster, project: str) -> Mapping[Concern, Sequence[str]]:
    """What policies are about in networks that the program creates."""
    network, own = cluster.network, (f"projects/{project}",)
    if not isinstance(network, CreateNetwork):
        return {}
    return {"nat": own if network.nat == "own" else (), "subnets without flow logs": own}


def _unencrypted(site: Site) -> list[str]:
    """Services in which something is created without a key of one's own."""
    settings, keys = site.settings, site.settings.encryption.keys
    creates = isinstance(settings.cluster, CreateCluster)
    pools = creates or bool(settings.created_domains)
    # A storage class that exists names its key itself.
    dynamo = settings.dynamo
    volumes = settings.creates_volumes and isinstance(dynamo, CreateDynamo) and dynamo.storage_class is None
    without = {
        "compute.googleapis.com": (pools and "disks" not in keys) or (volumes and "volumes" not in keys),
        "container.googleapis.com": (pools and "disks" not in keys) or (creates and "secrets" not in keys),
        "storage.googleapis.com": isinstance(settings.model_bucket, CreateModelBucket) and "bucket" not in keys,
    }
    return [service for service, missing in without.items() if missing]
