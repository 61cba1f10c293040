"""Types of single values in the stack config, each with its rule, and what a change of a key costs."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from pydantic import AfterValidator

from reference import (
    addresses,
    buckets,
    charts,
    dra_driver,
    encryption,
    gib,
    gke,
    iam,
    images,
    kai,
    naming,
    networks,
    platform_parts,
    sglang,
)
from reference.dynamo import CHARTS
from reference.machines import A4X
from validation.problems import broken
from validation.unknown_keys import nearest
from validation.validators import ruled


class Change(Enum):
    """What a change of a key does to a living environment: metadata of a field, for the config reference."""

    IN_PLACE = "is applied in place"
    PODS = "restarts the affected pods; a stack is unavailable until its workers have loaded the model"
    GRAPH = "replaces the graph: all its pods terminate before the new ones start"
    NODES = "recreates the nodes of the pools, upgrade.maxUnavailable at a time; their pods stop"
    POOLS = "replaces the node pools; every stack on them stops"
    CLUSTER = "replaces the cluster"
    NONE = "has no effect after creation"


def _bare_bucket(name: str) -> str:
    return ruled(buckets.check)(name.removeprefix("gs://").rstrip("/"))


def _kubernetes_name(name: str) -> str:
    if not naming.DNS_LABEL.fullmatch(name):
        raise broken(
            "a name has up to 63 lower-case letters, digits and hyphens, begins with a letter and must not end with a "
            "hyphen",
            "choose a name such as r1 or a4x-0",
        )
    return name


def _object_name(name: str) -> str:
    if len(name) > naming.OBJECT_MAX or not naming.DNS_SUBDOMAIN.fullmatch(name):
        raise broken(
            "a name has up to 253 lower-case letters, digits, hyphens and dots",
            "give the name of the object, as kubectl has it",
        )
    return name


def _stack_name(name: str) -> str:
    _kubernetes_name(name)
    if len(name) > naming.STACK_MAX:
        suffix = naming.DGD_SUFFIX + 1
        raise broken(
            f"the operator takes {naming.DGD_MAX} characters of a DynamoGraphDeployment's name, {suffix} of them "
            f"are a random suffix, and this name has {len(name)}",
            f"shorten it to {naming.STACK_MAX} characters",
        )
    return name


def four(values: tuple[str, ...]) -> tuple[str, ...]:
    """Require one value for each RDMA NIC."""
    if len(values) != len(A4X.rdma_networks):
        raise broken(
            f"an A4X node has {len(A4X.rdma_networks)} RDMA NICs, each in a subnetwork of its own, and these are "
            f"{len(values)}",
            "list the four subnetworks of the RDMA network, in the order of the NICs",
        )
    return values


def _project_number(text: str | None) -> str | None:
    if text == "":
        # The default in Pulumi.yaml, which makes the key optional.
        return None
    return None if text is None else ruled(gke.check_project_number)(text)


def _security_group(group: str) -> str:
    if not gke.SECURITY_GROUP.fullmatch(group):
        raise broken(
            "GKE takes one group of Google Workspace, whose name is gke-security-groups",
            "write gke-security-groups@YOUR-DOMAIN, and make the groups that get roles members of it",
        )
    return group


def _sglang(version: str) -> str:
    if version not in sglang.RELEASES:
        raise broken(
            "the program does not know the arguments of this SGLang release", nearest(version, sglang.RELEASES)
        )
    return version


def _chart_source(source: str) -> str | None:
    ruled(charts.check_source)(source)
    # NVIDIA's repository for Dynamo is no mirror: it lacks the other charts.
    return None if source.rstrip("/") == CHARTS else source


BucketName = Annotated[str, AfterValidator(_bare_bucket)]
KubernetesName = Annotated[str, AfterValidator(_kubernetes_name)]
Image = Annotated[str, AfterValidator(ruled(images.check))]
NetworkName = Annotated[str, AfterValidator(ruled(lambda name: networks.check_network(name, "networks")))]
SubnetworkName = Annotated[str, AfterValidator(ruled(lambda name: networks.check_network(name, "subnetworks")))]
RangeName = Annotated[str, AfterValidator(ruled(networks.check_range_name))]
ControlPlaneRange = Annotated[str, AfterValidator(ruled(addresses.check_control_plane))]
Range = Annotated[str, AfterValidator(ruled(lambda cidr: addresses.check_range(cidr, "range")))]
ClusterVersion = Annotated[str, AfterValidator(ruled(gke.alias))]
Reservation = Annotated[str, AfterValidator(ruled(gke.parse_reservation))]
KaiVersion = Annotated[str, AfterValidator(ruled(kai.check))]
DraDriverVersion = Annotated[str, AfterValidator(ruled(dra_driver.check))]
GibVersion = Annotated[str, AfterValidator(ruled(gib.check))]
ProjectNumber = Annotated[str | None, AfterValidator(_project_number)]
StackName = Annotated[str, AfterValidator(_stack_name)]
ChartSource = Annotated[str, AfterValidator(_chart_source)]
KmsKey = Annotated[str, AfterValidator(ruled(encryption.parse))]
ServiceAccount = Annotated[str, AfterValidator(ruled(iam.check_account))]
ProjectId = Annotated[str, AfterValidator(ruled(gke.check_project))]
SglangVersion = Annotated[str, AfterValidator(_sglang)]
SecurityGroup = Annotated[str, AfterValidator(_security_group)]
NatsAddress = Annotated[str, AfterValidator(ruled(platform_parts.check_nats))]
NatsUser = Annotated[str, AfterValidator(ruled(platform_parts.check_nats_user))]
EtcdAddress = Annotated[str, AfterValidator(ruled(platform_parts.check_etcd))]
ObjectName = Annotated[str, AfterValidator(_object_name)]
