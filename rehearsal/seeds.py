"""What exists in the embedded cloud before the program runs: everything that the settings adopt.

The only place where the rehearsal reads fields of the program's settings. It imports none of its code: a seed is what a
user would have created by hand, in the format of the real services.
"""

from __future__ import annotations

from typing import Any

from rehearsal.simulator import CloudResource, CloudState, EmbeddedCloud
from rehearsal.simulator.gcp import networks
from rehearsal.simulator.gcp import rules as gcp
from rehearsal.simulator.kubernetes import crds, helm
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.workloads import kai, platforms, serving

KAI_VERSION = "0.17.0"
DRIVER_VERSION = "25.12.0"
"""Releases of an adopted KAI and of an adopted DRA driver."""
NATS_PASSWORD = "made-up-natsPassword"
"""Password of an adopted platform's NATS, if the settings log in to it: what a rehearsal makes up for the secret."""
_SERVING_ACCOUNT = "dynamo-serving"
"""The Kubernetes service account of a stack's pods."""
_DEVICE_NETWORKS = ("gvnic-1", "rdma-0", "rdma-1", "rdma-2", "rdma-3")
_NETWORK = "default"
"""Network of an adopted cluster."""
_KUBERNETES = "1.34"
"""Of an adopted cluster: supported by every Dynamo release that the program knows."""


def kubernetes_version(settings: Any) -> str:
    """Major and minor version of the environment's cluster."""
    cluster = getattr(settings, "cluster", None)
    version = str(getattr(cluster, "version", "") or "")
    created = getattr(cluster, "mode", "") == "create"
    return ".".join(version.split(".")[:2]) if created and version.count(".") else _KUBERNETES


def dynamo_version(settings: Any) -> str:
    """The Dynamo release of the environment."""
    return str(getattr(getattr(settings, "dynamo", None), "version", "") or "0.7.0")


def plant(cloud: EmbeddedCloud, settings: Any) -> None:
    """Create what the settings adopt."""
    project, region = str(settings.project), str(settings.region)
    if settings.model_bucket.mode == "adopt":
        bucket = {"name": settings.model_bucket.name, "location": region, "uniformBucketLevelAccess": True}
        cloud.gcp.seed(gcp.BUCKET, bucket, project=project, region=region)
    _keys(cloud, settings, project, region)
    _identities(cloud, settings, project, region)
    _apis_zone(cloud, settings)
    if settings.cluster.mode == "create":
        _made_by_others(cloud, settings)
        return
    names = _networks(cloud, settings)
    cluster = _cluster(cloud, settings, project, str(settings.location))
    for domain in settings.domains:
        if domain.mode == "adopt":
            _pool(cloud, cluster, domain, names, dranet=settings.cluster.rdma == "dranet")
    for name, (network, subnetwork) in names.items():
        _device_network(cloud, cluster, name, network, subnetwork)
    named = getattr(settings.dynamo, "storage_class", None)
    if named:
        group = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": named}}
        provisioner = {"provisioner": "pd.csi.storage.gke.io"}
        cloud.kubernetes.seed(cluster, "kubernetes:storage.k8s.io/v1:StorageClass", {**group, **provisioner})
    _platform_parts(cloud, cluster, settings)
    if settings.kai.mode == "adopt":
        _kai(cloud, cluster)
    if settings.dynamo.mode == "adopt":
        _platform(cloud, cluster, settings)
    if settings.dra_driver.mode == "adopt":
        _driver(cloud, cluster)


_AGENTS = {
    "disks": "compute-system",
    "volumes": "compute-system",
    "secrets": "container-engine-robot",
    "bucket": "gs-project-accounts",
}


def _apis_zone(cloud: EmbeddedCloud, settings: Any) -> None:
    """The private zone of Google's APIs of a network that others made."""
    network = settings.cluster.network if settings.cluster.mode == "create" else None
    given = network is None or network.mode == "adopt"
    if not given or getattr(getattr(settings, "isolation", None), "egress", "") != "private-googleapis":
        return
    path = _NETWORK if network is None else network.network
    place = {"project": _owner(path, str(settings.project)), "region": str(settings.region)}
    attached = [{"networkUrl": f"projects/{place['project']}/global/networks/{gcp.short(path)}"}]
    zone = {"name": "googleapis", "dnsName": "googleapis.com.", "visibility": "private"}
    cloud.gcp.seed(gcp.MANAGED_ZONE, {**zone, "privateVisibilityConfig": {"networks": attached}}, **place)
    addresses = [f"199.36.153.{last}" for last in range(8, 12)]
    for name, kind, values in (
        ("private.googleapis.com.", "A", addresses),
        ("*.googleapis.com.", "CNAME", ["private.googleapis.com."]),
    ):
        record = {"managedZone": "googleapis", "name": name, "type": kind, "ttl": 300, "rrdatas": values}
        cloud.gcp.seed(gcp.RECORD_SET, record, **place)


def _keys(cloud: EmbeddedCloud, settings: Any, project: str, region: str) -> None:
    """The keys that are named, and the roles of Google's agents on them where the program does not give these."""
    chosen: Any = getattr(settings, "encryption", None)
    number = settings.project_number or "1"
    for use, agent in _AGENTS.items():
        key = getattr(chosen, use, None)
        if key is None:
            continue
        ring, _, name = key.partition("/cryptoKeys/")
        if cloud.state.get(gcp.CRYPTO_KEY, key) is None:
            cloud.gcp.seed(gcp.CRYPTO_KEY, {"keyRing": ring, "name": name}, project=project, region=region)
        grant = {
            "cryptoKeyId": key,
            "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "member": f"serviceAccount:service-{number}@{agent}.iam.gserviceaccount.com",
        }
        if not chosen.grant and cloud.state.get(gcp.KEY_MEMBER, "/".join(grant.values())) is None:
            cloud.gcp.seed(gcp.KEY_MEMBER, grant, project=project, region=region)


def _identities(cloud: EmbeddedCloud, settings: Any, project: str, region: str) -> None:
    """The accounts that are named, and the roles that the program does not give: here before there is anything to use
    them on, as if somebody gave them at the right moment.
    """
    given = getattr(settings, "identities", None)
    if given is None:
        return
    accounts = {given.node_service_account, given.model_reader, given.model_writer} - {None}
    for email in sorted(accounts):
        name, _, domain = email.partition("@")
        owner = domain.removesuffix(".iam.gserviceaccount.com")
        cloud.gcp.seed(gcp.ACCOUNT, {"accountId": name}, project=owner, region=region)
    bucket, pool = settings.model_bucket.name, f"{project}.svc.id.goog"
    if given.model_reader:
        member = {"role": "roles/storage.objectViewer", "member": f"serviceAccount:{given.model_reader}"}
        cloud.gcp.seed(gcp.BUCKET_MEMBER, {"bucket": bucket, **member}, project=project, region=region)
    for stack in settings.stacks if given.iam == "none" else ():
        if given.model_reader:
            owner = given.model_reader.rpartition("@")[2].removesuffix(".iam.gserviceaccount.com")
            grant = {
                "serviceAccountId": f"projects/{owner}/serviceAccounts/{given.model_reader}",
                "role": "roles/iam.workloadIdentityUser",
                "member": f"serviceAccount:{pool}[{stack.space}/{_SERVING_ACCOUNT}]",
            }
            cloud.gcp.seed(gcp.ACCOUNT_MEMBER, grant, project=project, region=region)
        elif settings.workload_identity == "direct":
            pools = f"iam.googleapis.com/projects/{settings.project_number}/locations/global/workloadIdentityPools"
            principal = f"principal://{pools}/{pool}/subject/ns/{stack.space}/sa/{_SERVING_ACCOUNT}"
            grant = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": principal}
            cloud.gcp.seed(gcp.BUCKET_MEMBER, grant, project=project, region=region)


def plant_missing(cloud: EmbeddedCloud, settings: Any) -> None:
    """Create what the settings adopt and does not exist yet: after a change of the config."""
    for resource, found in _wanted(cloud, settings):
        if found is None:
            cloud.state.add(resource)


def replant(cloud: EmbeddedCloud, settings: Any) -> None:
    """Let everything that the settings adopt be as they say: what is missing is created, what differs is changed."""
    for resource, found in _wanted(cloud, settings):
        if found is None:
            cloud.state.add(resource)
        elif found.origin == "seed" and found.inputs != resource.inputs:
            differs = {key for key in resource.inputs if resource.inputs[key] != found.inputs.get(key)}
            found.inputs = resource.inputs
            found.outputs.update({key: resource.outputs[key] for key in differs if key in resource.outputs})


def _wanted(cloud: EmbeddedCloud, settings: Any) -> list[tuple[CloudResource, CloudResource | None]]:
    """What the settings adopt, each with what exists of that identity."""
    beside = EmbeddedCloud(CloudState())
    plant(beside, settings)
    return [(one, cloud.state.get(one.kind, one.id, one.scope)) for one in beside.state]


def _made_by_others(cloud: EmbeddedCloud, settings: Any) -> None:
    """The existing networks of a created cluster, and what their project grants if it is another one."""
    cluster, project, region = settings.cluster, str(settings.project), str(settings.region)
    paths: list[str] = []
    if cluster.network.mode == "adopt":
        its = cluster.network
        _network(cloud, settings, its.network)
        ranges = {its.pods_range: "10.64.0.0/15", its.services_range: "10.96.0.0/20"}
        secondary = [{"rangeName": name, "ipCidrRange": cidr} for name, cidr in ranges.items()]
        more = {"secondaryIpRanges": secondary, "privateIpGoogleAccess": True}
        paths.append(_subnetwork(cloud, settings, its.network, its.subnetwork, "10.32.0.0/20", **more))
        if its.control_plane_subnetwork is not None:
            private = its.control_plane_subnetwork
            paths.append(_subnetwork(cloud, settings, its.network, private, "10.33.0.0/28"))
    if cluster.device_networks is not None:
        pairs = _networks(cloud, settings).values()
        paths += [f"projects/{_owner(n, project)}/regions/{region}/subnetworks/{gcp.short(s)}" for n, s in pairs]
    granted = {(_owner(path, project), gcp.short(path)) for path in paths if _owner(path, project) != project}
    for role, member, below in networks.agents_grants(project):
        for host, name in sorted(granted) if below else ():
            grant = {"role": role, "member": member, "subnetwork": name}
            cloud.gcp.seed(gcp.SUBNETWORK_MEMBER, grant, project=host, region=region)
        for host in {host for host, _ in granted} if not below else ():
            cloud.gcp.seed(gcp.PROJECT_MEMBER, {"role": role, "member": member}, project=host, region=region)


def _owner(path: str, project: str) -> str:
    """The project of a network that is named by name or path."""
    return path.split("/")[1] if path.startswith("projects/") else project


def _network(cloud: EmbeddedCloud, settings: Any, path: str, *, roce: bool = False) -> None:
    owner = _owner(path, str(settings.project))
    inputs: dict[str, Any] = {"name": gcp.short(path), "autoCreateSubnetworks": False, "mtu": 8896}
    if roce:
        inputs["networkProfile"] = f"projects/{owner}/global/networkProfiles/{settings.domains[0].zone}-vpc-roce"
    cloud.gcp.seed(gcp.NETWORK, inputs, project=owner, region=str(settings.region))


def _subnetwork(cloud: EmbeddedCloud, settings: Any, network: str, path: str, cidr: str, **more: Any) -> str:
    """A subnetwork of an existing network; returns its path."""
    inputs = {"name": gcp.short(path), "network": gcp.short(network), "ipCidrRange": cidr, **more}
    owner = _owner(network, str(settings.project))
    return cloud.gcp.seed(gcp.SUBNETWORK, inputs, project=owner, region=str(settings.region)).id


def _networks(cloud: EmbeddedCloud, settings: Any) -> dict[str, tuple[str, str]]:
    """The VPCs of the additional NICs: device network -> (network, subnetwork), as the settings name them."""
    named = settings.cluster.device_networks
    if named is not None:
        pairs = [(named.gvnic.network, named.gvnic.subnetwork)]
        pairs += [(named.rdma_network, subnetwork) for subnetwork in named.rdma_subnetworks]
    else:
        name = settings.cluster.name
        pairs = [(f"{name}-net-1", f"{name}-sub-1")]
        pairs += [(f"{name}-rdma", f"{name}-rdma-sub-{index}") for index in range(4)]
    for network in dict.fromkeys(network for network, _ in pairs):
        _network(cloud, settings, network, roce=network == pairs[1][0])
    for index, (network, subnetwork) in enumerate(pairs):
        _subnetwork(cloud, settings, network, subnetwork, f"192.168.{64 + 16 * index}.0/20")
    return dict(zip(_DEVICE_NETWORKS, pairs, strict=True))


def _cluster(cloud: EmbeddedCloud, settings: Any, project: str, region: str) -> CloudResource:
    inputs = {
        "name": settings.cluster.name,
        "network": _NETWORK,
        "datapathProvider": "ADVANCED_DATAPATH",
        "enableMultiNetworking": True,
        "workloadIdentityConfig": {"workloadPool": f"{project}.svc.id.goog"},
        "addonsConfig": {"gcsFuseCsiDriverConfig": {"enabled": True}},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"allowExternalTraffic": True}},
    }
    return cloud.gcp.seed(gcp.CLUSTER, inputs, project=project, region=region)


def _pool(
    cloud: EmbeddedCloud, cluster: CloudResource, domain: Any, names: dict[str, tuple[str, str]], *, dranet: bool
) -> None:
    attached = [{"network": network, "subnetwork": subnetwork} for network, subnetwork in names.values()]
    networks: dict[str, Any] = {"additionalNodeNetworkConfigs": attached}
    labels: dict[str, str] = {}
    if dranet:
        networks, labels = {"acceleratorNetworkProfile": "auto"}, {"cloud.google.com/gke-networking-dra-driver": "true"}
    inputs = {
        "name": domain.name,
        "cluster": cluster.outputs["name"],
        "nodeCount": domain.nodes,
        "nodeLocations": [domain.zone],
        "nodeConfig": {"machineType": gcp.MACHINE_A4X, "labels": labels},
        "networkConfig": networks,
    }
    project, region = str(cluster.outputs["project"]), str(cluster.outputs["location"])
    cloud.gcp.seed(gcp.NODE_POOL, inputs, project=project, region=region)


def _device_network(cloud: EmbeddedCloud, cluster: CloudResource, name: str, network: str, subnetwork: str) -> None:
    mode = "NetDevice" if name.startswith("gvnic") else "RDMA"
    group = {"apiVersion": "networking.gke.io/v1", "metadata": {"name": name}}
    spec: dict[str, Any] = {"vpc": gcp.short(network), "vpcSubnet": gcp.short(subnetwork), "deviceMode": mode}
    kind = "GKENetworkParamSet"
    cloud.kubernetes.seed(cluster, f"kubernetes:networking.gke.io/v1:{kind}", {**group, "kind": kind, "spec": spec})
    reference = {"group": "networking.gke.io", "kind": kind, "name": name}
    spec = {"type": "Device", "parametersRef": reference}
    cloud.kubernetes.seed(
        cluster, "kubernetes:networking.gke.io/v1:Network", {**group, "kind": "Network", "spec": spec}
    )


def _kai(cloud: EmbeddedCloud, cluster: CloudResource) -> None:
    """KAI as installed by its documentation: with the chart's shard and queues."""
    release = {"chart": kai.CHART, "version": KAI_VERSION, "namespace": "kai-scheduler"}
    helm.seed(cloud.state, cluster.id, release)
    for resource in cloud.state.find(scope=cluster.id):
        kai.settle(cloud.state, resource)


def _platform_parts(cloud: EmbeddedCloud, cluster: CloudResource, settings: Any) -> None:
    """Namespaces that others have made, and parts of a platform that they have installed."""
    for foreign in settings.foreign_namespaces:
        _namespace(cloud, cluster, foreign.name)
    dynamo = settings.dynamo
    platform = platforms.of(dynamo.version)
    if getattr(dynamo, "grove", None) == "adopt":
        grove = {"chart": serving.GROVE, "version": platform.grove, "namespace": "grove-system"}
        helm.seed(cloud.state, cluster.id, grove)
    if getattr(dynamo, "crds", None) == "adopt":
        crds.serve(cloud.state, cluster.id, platform.kinds, dynamo.version)
    for part in (getattr(dynamo, name, None) for name in ("nats", "etcd")):
        host = str(getattr(part, "address", "")).rpartition("/")[2].partition(":")[0]
        if ".svc" in host:
            name, namespace = host.split(".")[:2]
            _namespace(cloud, cluster, namespace)
            service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}}
            cloud.kubernetes.seed(cluster, "kubernetes:core/v1:Service", service)


def _namespace(cloud: EmbeddedCloud, cluster: CloudResource, name: str) -> None:
    if cloud.state.get(NAMESPACE, name, cluster.id) is None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        cloud.kubernetes.seed(cluster, NAMESPACE, body)


def _platform(cloud: EmbeddedCloud, cluster: CloudResource, settings: Any) -> None:
    version, namespace = settings.dynamo.version, settings.dynamo.namespace
    if helm.early(version):
        crds = {"chart": "dynamo-crds", "version": version, "namespace": "default"}
        helm.seed(cloud.state, cluster.id, crds)
        values: dict[str, Any] = {"grove": {"enabled": True}}
    else:
        scheduler = {"install": False, "enabled": settings.kai.mode != "none"}
        values = {"global": {"grove": {"install": True}, "kai-scheduler": scheduler}}
    user = getattr(settings.dynamo, "nats_user", None)
    if user is not None:
        authorization = {"user": user, "password": NATS_PASSWORD}
        values["nats"] = {"config": {"merge": {"authorization": authorization}}}
    release = {"chart": "dynamo-platform", "version": version, "namespace": namespace, "values": values}
    helm.seed(cloud.state, cluster.id, release)


def _driver(cloud: EmbeddedCloud, cluster: CloudResource) -> None:
    name = "nvidia-dra-driver-gpu"
    release = {"chart": name, "version": DRIVER_VERSION, "namespace": name}
    helm.seed(cloud.state, cluster.id, release)
