"""Implementation of `Cloud` for Google Cloud, with the user's own credentials. Reads only.

Compute Engine and GKE are called through Google's libraries over REST; services of which only one or two calls are
needed, through the same session without a library. Every call has a timeout, and every error becomes a `CloudError`.
"""

# Google's libraries have types for their signatures, but not for messages and errors.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import base64
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

import google.auth
import requests
from google.api_core import exceptions as api_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import compute_v1, container_v1
from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerRestTransport
from google.oauth2 import credentials as user_credentials

from preflight import cloud, kubernetes, registry, scheduler
from preflight.cloud import CloudError, Trouble

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
ACCESS_VARIABLE: Final = "GOOGLE_OAUTH_ACCESS_TOKEN"
"""An access token, which pulumi-gcp and preflight prefer to the application default credentials."""

ATTEMPTS: Final = 2
"""Attempts of a call that fails with 429 or 5xx."""
PAUSE_SECONDS: Final = 1.0
REASON_MAX: Final = 240
"""Characters of the cloud's own reason; its messages can be pages long."""
PAGES_MAX: Final = 50
"""Pages of a list; more would be an endless list."""

_ADDRESS: Final = re.compile(r"^(GET|POST) https?://\S+: ")

T = TypeVar("T")

_OTHER_POLICIES: Final = {
    "namespaces": (("cilium.io/v2", "ciliumnetworkpolicies"), ("networking.gke.io/v1alpha1", "fqdnnetworkpolicies")),
    "cluster": (
        ("cilium.io/v2", "ciliumclusterwidenetworkpolicies"),
        ("policy.networking.k8s.io/v1alpha1", "adminnetworkpolicies"),
        ("policy.networking.k8s.io/v1alpha1", "baselineadminnetworkpolicies"),
    ),
}
"""Kinds of policies that Dataplane V2 or an extension of it may know, by group and plural."""

_PULLING: Final = frozenset(
    f"roles/artifactregistry.{role}" for role in ("reader", "writer", "repoAdmin", "admin", "createOnPushWriter")
)
"""Roles with the permission to pull from a repository."""


class GoogleCloud:
    """`preflight.cloud.Cloud` for Google Cloud."""

    def __init__(self, project: str, timeout: float = 15.0, credentials: Credentials | None = None) -> None:
        """`project` is the quota project; `timeout` is in seconds for one call.

        `credentials` default to the user's: the token of `GOOGLE_OAUTH_ACCESS_TOKEN`, else the application default
        ones. They are looked up in `login`, not here.
        """
        self._project = project
        self._timeout = timeout
        self._credentials = credentials
        self._lock = threading.RLock()
        self._clients: dict[str, Any] = {}

    # --- credentials --------------------------------------------------------------------------------------

    def login(self) -> str:
        """Get a token; returns the account's email if the credentials have it."""
        found = self._call(self._login)
        name: Any = getattr(found, "service_account_email", None) or getattr(found, "account", None)
        person = isinstance(found, user_credentials.Credentials)
        return str(name) if name else f"a {'person' if person else 'program'}'s credentials"

    def _login(self) -> Credentials:
        with self._lock:
            if self._credentials is None:
                self._credentials = self._found()
            if not self._credentials.valid:
                request = Request()

                def bounded(*args: Any, **kwargs: Any) -> Any:
                    return request(*args, **{**kwargs, "timeout": self._timeout})

                self._credentials.refresh(bounded)
            return self._credentials

    def _found(self) -> Credentials:
        token = os.environ.get(ACCESS_VARIABLE)
        if token:
            return user_credentials.Credentials(token=token, quota_project_id=self._project)
        found, _ = google.auth.default(scopes=[SCOPE])
        if isinstance(found, user_credentials.Credentials) and found.quota_project_id is None:
            # Calls with user credentials need a quota project.
            return found.with_quota_project(self._project)
        return found

    # --- project ------------------------------------------------------------------------------------------

    def project(self, project: str) -> cloud.Project:
        """The project, from Resource Manager."""
        found = self._get(f"https://cloudresourcemanager.googleapis.com/v3/projects/{project}")
        return cloud.Project(number=str(found["name"]).rpartition("/")[2], state=found.get("state", ""))

    def granted(self, project: str, permissions: Sequence[str]) -> frozenset[str]:
        """Permissions that the caller has, from Resource Manager."""
        url = f"https://cloudresourcemanager.googleapis.com/v3/projects/{project}:testIamPermissions"
        return self._tested(url, permissions)

    def disabled_services(self, project: str, services: Sequence[str]) -> list[str]:
        """Services that are off, from Service Usage."""
        names = [f"projects/{project}/services/{service}" for service in services]
        url = f"https://serviceusage.googleapis.com/v1/projects/{project}/services:batchGet"
        found = self._get(url, names=names).get("services", [])
        enabled = {str(service["name"]).rpartition("/")[2] for service in found if service.get("state") == "ENABLED"}
        return [service for service in services if service not in enabled]

    def members(self, project: str, role: str) -> frozenset[str]:
        """Members of a role, from Resource Manager."""
        url = f"https://cloudresourcemanager.googleapis.com/v3/projects/{project}:getIamPolicy"
        return _members(self._json("POST", url, json={"options": {"requestedPolicyVersion": 3}}), {role})

    # --- keys, accounts, policies -------------------------------------------------------------------------

    def key(self, path: str) -> cloud.Key:
        """The key, from Cloud KMS."""
        found = self._get(f"{_KMS}/{path}")
        return cloud.Key(found.get("purpose", ""), found.get("primary", {}).get("state", ""))

    def key_members(self, path: str, role: str) -> frozenset[str]:
        """Members of a role, from Cloud KMS."""
        return _members(self._get(f"{_KMS}/{path}:getIamPolicy", **{"options.requestedPolicyVersion": "3"}), {role})

    def granted_on_key(self, path: str, permissions: Sequence[str]) -> frozenset[str]:
        """Permissions on a key, from Cloud KMS."""
        return self._tested(f"{_KMS}/{path}:testIamPermissions", permissions)

    def account_disabled(self, email: str) -> bool:
        """The account, from IAM."""
        return bool(self._get(_account_url(email)).get("disabled"))

    def granted_on_account(self, email: str, permissions: Sequence[str]) -> frozenset[str]:
        """Permissions on an account, from IAM."""
        return self._tested(f"{_account_url(email)}:testIamPermissions", permissions)

    def org_policy(self, project: str, constraint: str) -> cloud.OrgPolicy:
        """The effective policy, from the Organization Policy API."""
        url = f"https://orgpolicy.googleapis.com/v2/projects/{project}/policies/{constraint}:getEffectivePolicy"
        rules: list[Any] = self._get(url).get("spec", {}).get("rules", [])
        values = [rule.get("values", {}) for rule in rules]
        return cloud.OrgPolicy(
            enforced=any(rule.get("enforce") is True for rule in rules),
            denies_all=any(rule.get("denyAll") is True for rule in rules),
            allowed=frozenset(value for one in values for value in one.get("allowedValues", [])),
            denied=frozenset(value for one in values for value in one.get("deniedValues", [])),
        )

    def _tested(self, url: str, permissions: Sequence[str]) -> frozenset[str]:
        return frozenset(self._json("POST", url, json={"permissions": list(permissions)}).get("permissions", []))

    # --- capacity -----------------------------------------------------------------------------------------

    def reservation(self, project: str, zone: str, name: str) -> cloud.Reservation:
        """The reservation, from Compute Engine."""
        found = self._asked(
            self._compute(compute_v1.ReservationsClient).get, project=project, zone=zone, reservation=name
        )
        specific, share = found.specific_reservation, found.share_settings
        shared_with = {*share.project_map, *(entry.project_id for entry in share.project_map.values())}
        return cloud.Reservation(
            machine_type=specific.instance_properties.machine_type,
            count=specific.count,
            in_use=specific.in_use_count,
            specific=found.specific_reservation_required,
            share=share.share_type or "LOCAL",
            shared_with=frozenset(shared_with - {""}),
            status=found.status,
            ends=found.delete_at_time,
        )

    def blocks(self, project: str, zone: str, reservation: str) -> list[str]:
        """The reservation's blocks, from Compute Engine."""
        client = self._compute(compute_v1.ReservationBlocksClient)
        found = self._asked(client.list, list, project=project, zone=zone, reservation=reservation)
        return [block.name for block in found]

    def sub_blocks(self, project: str, zone: str, reservation: str, block: str) -> list[cloud.SubBlock]:
        """The block's sub-blocks, from Compute Engine."""
        client, parent = self._compute(compute_v1.ReservationSubBlocksClient), _block_path(reservation, block)
        found = self._asked(client.list, list, project=project, zone=zone, parent_name=parent)
        return [_sub_block(item) for item in found]

    def sub_block(self, project: str, zone: str, reservation: str, block: str, name: str) -> cloud.SubBlock:
        """One sub-block, from Compute Engine."""
        found = self._asked(
            self._compute(compute_v1.ReservationSubBlocksClient).get,
            project=project,
            zone=zone,
            parent_name=_block_path(reservation, block),
            reservation_sub_block=name,
        )
        return _sub_block(found.resource)

    def project_quotas(self, project: str) -> Mapping[str, cloud.Quota]:
        """Quotas of the project, from Compute Engine."""
        return _quotas(self._asked(self._compute(compute_v1.ProjectsClient).get, project=project).quotas)

    def region_quotas(self, project: str, region: str) -> Mapping[str, cloud.Quota]:
        """Quotas of the region, from Compute Engine."""
        client = self._compute(compute_v1.RegionsClient)
        return _quotas(self._asked(client.get, project=project, region=region).quotas)

    # --- networks -----------------------------------------------------------------------------------------

    def networks(self, project: str) -> Mapping[str, cloud.Network]:
        """The project's networks, from Compute Engine."""
        found = self._asked(self._compute(compute_v1.NetworksClient).list, list, project=project)
        return {
            network.name: cloud.Network(
                network.name, network.description, network.network_profile.rpartition("/")[2], network.mtu
            )
            for network in found
        }

    def subnetwork(self, project: str, region: str, name: str) -> cloud.Subnetwork:
        """The subnetwork, from Compute Engine."""
        client = self._compute(compute_v1.SubnetworksClient)
        found = self._asked(client.get, project=project, region=region, subnetwork=name)
        return cloud.Subnetwork(
            name=found.name,
            network=found.network.rpartition("/")[2],
            range=found.ip_cidr_range,
            secondary={part.range_name: part.ip_cidr_range for part in found.secondary_ip_ranges},
            private_access=found.private_ip_google_access,
        )

    def subnetwork_members(self, project: str, region: str, name: str) -> Mapping[str, frozenset[str]]:
        """Members of the subnetwork's own policy, from Compute Engine."""
        request = compute_v1.GetIamPolicySubnetworkRequest(
            project=project, region=region, resource=name, options_requested_policy_version=3
        )
        policy = self._asked(self._compute(compute_v1.SubnetworksClient).get_iam_policy, request=request)
        held: dict[str, frozenset[str]] = {}
        for binding in policy.bindings:
            if not binding.condition.expression:
                held[binding.role] = held.get(binding.role, frozenset()) | frozenset(binding.members)
        return held

    def network_profile_zone(self, project: str, profile: str) -> str:
        """The zone of a network profile, from Compute Engine."""
        client = self._compute(compute_v1.NetworkProfilesClient)
        location = self._asked(client.get, project=project, network_profile=profile).location
        return location.name.rpartition("/")[2] if location.scope == "ZONE" else ""

    # --- GKE ----------------------------------------------------------------------------------------------

    def versions(self, project: str, location: str, channel: str) -> cloud.Versions:
        """What the channel offers, from GKE."""
        config = self._asked(
            self._gke().get_server_config,
            request={"name": f"projects/{project}/locations/{location}"},
        )
        for offered in config.channels:
            if offered.channel.name == channel:
                return cloud.Versions(offered.default_version, tuple(offered.valid_versions))
        return cloud.Versions("", ())

    def cluster(self, project: str, location: str, name: str) -> cloud.Cluster:
        """The cluster, from GKE."""
        path = f"projects/{project}/locations/{location}/clusters/{name}"
        return _cluster(self._asked(self._gke().get_cluster, request={"name": path}))

    def cluster_names(self, project: str) -> list[str]:
        """All clusters of the project, from GKE."""
        found = self._asked(self._gke().list_clusters, request={"parent": f"projects/{project}/locations/-"})
        return sorted(f"{cluster.location}/{cluster.name}" for cluster in found.clusters)

    def group_size(self, url: str) -> int:
        """Machines of an instance group, from Compute Engine."""
        parts = url.split("/")
        project, zone, name = (parts[parts.index(key) + 1] for key in ("projects", "zones", "instanceGroupManagers"))
        client = self._compute(compute_v1.InstanceGroupManagersClient)
        return self._asked(client.get, project=project, zone=zone, instance_group_manager=name).target_size

    # --- Kubernetes ---------------------------------------------------------------------------------------

    def nodes(self, cluster: cloud.Cluster, selector: str) -> list[cloud.Node]:
        """Nodes, from the cluster."""
        labels = {"labelSelector": selector} if selector else {}
        return [kubernetes.node(item) for item in self._kubernetes(cluster, "/api/v1/nodes", **labels)]

    def pods(self, cluster: cloud.Cluster) -> list[cloud.Pod]:
        """Pods that are neither finished nor waiting for a node, from the cluster."""
        selector = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
        return [kubernetes.pod(item) for item in self._kubernetes(cluster, "/api/v1/pods", fieldSelector=selector)]

    def kai(self, cluster: cloud.Cluster) -> cloud.Kai:
        """The KAI scheduler, from the cluster."""
        return scheduler.kai_in(partial(self._kubernetes, cluster))

    def deployments(self, cluster: cloud.Cluster, name: str) -> list[cloud.Deployment]:
        """Deployments, from the cluster."""
        path = "/apis/apps/v1/deployments"
        found = self._kubernetes(cluster, path, fieldSelector=f"metadata.name={name}")
        return [kubernetes.deployment(item) for item in found]

    def namespace(self, cluster: cloud.Cluster, name: str) -> cloud.Namespace | None:
        """A namespace, from the cluster."""
        found = self._kubernetes(cluster, "/api/v1/namespaces", fieldSelector=f"metadata.name={name}")
        if not found:
            return None
        quotas = self._kubernetes(cluster, f"/api/v1/namespaces/{name}/resourcequotas")
        ranges = self._kubernetes(cluster, f"/api/v1/namespaces/{name}/limitranges")
        return kubernetes.namespace(found[0], quotas, ranges)

    def network_policies(self, cluster: cloud.Cluster, namespace: str) -> list[cloud.NetworkPolicy]:
        """NetworkPolicies, from the cluster."""
        path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        return [kubernetes.network_policy(item) for item in self._kubernetes(cluster, path)]

    def other_policies(self, cluster: cloud.Cluster, namespace: str) -> list[str]:
        """Policies of kinds that not every cluster has."""
        found: list[str] = []
        for group, plural in _OTHER_POLICIES["namespaces" if namespace else "cluster"]:
            path = f"/apis/{group}/{f'namespaces/{namespace}/' if namespace else ''}{plural}"
            try:
                items = self._kubernetes(cluster, path)
            except CloudError as error:
                if error.trouble != "missing":
                    raise
                continue
            found += [f"{plural} {item['metadata']['name']}" for item in items]
        return found

    def crds(self, cluster: cloud.Cluster, names: Sequence[str]) -> Mapping[str, cloud.Definition]:
        """Custom resource definitions, from the cluster; one request each, because all of them are megabytes."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        found = (self._kubernetes(cluster, path, fieldSelector=f"metadata.name={name}") for name in names)
        return {name: kubernetes.definition(items[0]) for name, items in zip(names, found, strict=True) if items}

    def _kubernetes(self, cluster: cloud.Cluster, path: str, **selector: str) -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            verify: bool | str = True
            if cluster.ca_certificate:
                file = Path(folder) / "ca.pem"
                file.write_bytes(base64.b64decode(cluster.ca_certificate))
                verify = str(file)
            return self._pages(f"https://{cluster.host}{path}", "continue", verify=verify, limit="500", **selector)

    # --- storage ------------------------------------------------------------------------------------------

    def bucket(self, name: str) -> cloud.Bucket:
        """The bucket, from Cloud Storage."""
        found = self._get(_bucket_url(name))
        access = found.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {})
        return cloud.Bucket(found.get("location", ""), bool(access.get("enabled")), found.get("labels", {}))

    def bucket_members(self, name: str, role: str) -> frozenset[str]:
        """Members of a role, from Cloud Storage."""
        return _members(self._get(f"{_bucket_url(name)}/iam", optionsRequestedPolicyVersion="3"), {role})

    def files(self, bucket: str, folder: str) -> Mapping[str, int]:
        """Files below `folder`, from Cloud Storage."""
        prefix, fields = f"{folder}/", "items(name,size),nextPageToken"
        items = self._pages(f"{_bucket_url(bucket)}/o", "pageToken", prefix=prefix, fields=fields, maxResults="1000")
        return {str(item["name"]).removeprefix(prefix): int(item.get("size", 0)) for item in items}

    def read(self, bucket: str, path: str) -> bytes:
        """A file, from Cloud Storage."""
        url = f"{_bucket_url(bucket)}/o/{quote(path, safe='')}"
        return self._call(lambda: self._http("GET", url, params={"alt": "media"})).content

    # --- images -------------------------------------------------------------------------------------------

    def image(self, reference: str) -> cloud.Image:
        """The image, from its registry."""
        return registry.image(reference, self._timeout, lambda: str(self._call(self._login).token))

    def readers(self, project: str, location: str, repository: str) -> frozenset[str]:
        """Members of the roles that may pull, from Artifact Registry."""
        path = f"projects/{project}/locations/{location}/repositories/{repository}"
        return _members(self._get(f"https://artifactregistry.googleapis.com/v1/{path}:getIamPolicy"), _PULLING)

    # --- calls --------------------------------------------------------------------------------------------

    def _compute(self, kind: Callable[..., T]) -> T:
        return self._client(str(kind), lambda: kind(credentials=self._login(), transport="rest"))

    def _gke(self) -> container_v1.ClusterManagerClient:
        def make() -> container_v1.ClusterManagerClient:
            # REST as elsewhere: one transport, one kind of error, and proxies work as usual.
            return container_v1.ClusterManagerClient(transport=ClusterManagerRestTransport(credentials=self._login()))

        return self._client("gke", make)

    def _session(self) -> AuthorizedSession:
        return self._client("session", lambda: AuthorizedSession(self._login()))

    def _client(self, key: str, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._call(make)
            return self._clients[key]

    def _asked(self, method: Callable[..., Any], read: Callable[[Any], Any] | None = None, **request: Any) -> Any:
        """Call a library's method with our timeout and without its own retries, which last ten minutes.

        `read` runs inside the error handling, because pages of a list are fetched while it is read.
        """

        def ask() -> Any:
            answer = method(**request, timeout=self._timeout, retry=None)
            return answer if read is None else read(answer)

        return self._call(ask)

    def _get(self, url: str, **params: Any) -> Any:
        return self._json("GET", url, params=params)

    def _json(self, method: str, url: str, **options: Any) -> Any:
        def ask() -> Any:
            try:
                return self._http(method, url, **options).json()
            except requests.exceptions.JSONDecodeError:
                raise CloudError("no answer", f"{url.split('/')[2]} answered, but not with JSON") from None

        return self._call(ask)

    def _pages(self, url: str, token_key: str, *, verify: bool | str = True, **params: str) -> list[Any]:
        items: list[Any] = []
        for _ in range(PAGES_MAX):
            page = self._json("GET", url, params=params, verify=verify)
            items += page.get("items", [])
            token = page.get("nextPageToken") or page.get("metadata", {}).get("continue")
            if not token:
                return items
            params = {**params, token_key: token}
        raise CloudError("refused", f"{url.split('/')[2]} lists more than {PAGES_MAX} pages")

    def _http(self, method: str, url: str, **options: Any) -> requests.Response:
        session = self._session()
        # `timeout` limits the connection and each pause in the answer, `max_allowed_time` the whole call.
        limits: dict[str, Any] = {"timeout": self._timeout, "max_allowed_time": 2 * self._timeout}
        response = session.request(method, url, **limits, **options)
        if response.status_code >= 400:
            raise api_errors.from_http_response(response)
        return response

    def _call(self, ask: Callable[[], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return ask()
            except (api_errors.TooManyRequests, api_errors.ServerError) as error:
                if attempt == ATTEMPTS:
                    raise _trouble(error) from error
                time.sleep(PAUSE_SECONDS)
            except (api_errors.GoogleAPIError, auth_errors.GoogleAuthError, requests.RequestException) as error:
                raise _trouble(error) from error
        raise AssertionError


def _trouble(error: Exception) -> CloudError:
    """`error` as a `CloudError`."""
    if isinstance(error, api_errors.GoogleAPICallError):
        # Library and session prefix Google's message with method and URL.
        return CloudError(_kind(error), _line(_ADDRESS.sub("", error.message or str(error))))
    if isinstance(error, auth_errors.TransportError | requests.RequestException):
        reason = "no answer in time" if isinstance(error, requests.Timeout) else _root(error)
        return CloudError("no answer", reason)
    return CloudError("login" if isinstance(error, auth_errors.GoogleAuthError) else "no answer", _line(str(error)))


def _kind(error: api_errors.GoogleAPICallError) -> Trouble:
    details = cast("list[Any]", error.errors or [])
    reasons = {error.reason, *(str(d.get("reason")) for d in details if isinstance(d, dict))}
    match error.code:
        case 404:
            return "missing"
        case 401:
            return "login"
        case 403 if reasons & {"SERVICE_DISABLED", "accessNotConfigured"}:
            return "off"
        case 403:
            return "denied"
        case int(code) if code == 429 or code >= 500:
            return "no answer"
        case _:
            return "refused"


def _root(error: BaseException) -> str:
    """The innermost cause: the outer ones contain memory addresses of objects."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = cast("BaseException", error.__cause__ or error.__context__)
    return _line(f"{type(error).__name__}: {error}")


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= REASON_MAX else f"{line[: REASON_MAX - 4]} ..."


def _block_path(reservation: str, block: str) -> str:
    return f"reservations/{reservation}/reservationBlocks/{block}"


_KMS: Final = "https://cloudkms.googleapis.com/v1"


def _account_url(email: str) -> str:
    # The project in front may be left to IAM.
    return f"https://iam.googleapis.com/v1/projects/-/serviceAccounts/{email}"


def _members(policy: Mapping[str, Any], roles: Collection[str]) -> frozenset[str]:
    """Members of roles in a policy, without conditions."""
    granted = [b for b in policy.get("bindings", []) if b.get("role") in roles and not b.get("condition")]
    return frozenset(member for binding in granted for member in binding.get("members", []))


def _bucket_url(name: str) -> str:
    return f"https://storage.googleapis.com/storage/v1/b/{quote(name, safe='')}"


def _sub_block(item: Any) -> cloud.SubBlock:
    health = item.health_info
    status = health.health_status
    return cloud.SubBlock(
        name=item.name,
        count=item.count,
        in_use=item.in_use_count,
        health="" if status == "HEALTH_STATUS_UNSPECIFIED" else status,
        degraded_hosts=health.degraded_host_count,
        degraded_infra=health.degraded_infra_count,
    )


def _quotas(items: Sequence[compute_v1.Quota]) -> Mapping[str, cloud.Quota]:
    return {quota.metric: cloud.Quota(quota.limit, quota.usage) for quota in items}


def _cluster(found: container_v1.Cluster) -> cloud.Cluster:
    dns = found.control_plane_endpoints_config.dns_endpoint_config
    by_dns = bool(dns.endpoint and dns.allow_external_traffic)
    network = found.network_config
    return cloud.Cluster(
        name=found.name,
        location=found.location,
        status=found.status.name,
        version=found.current_master_version,
        datapath=network.datapath_provider.name,
        calico=found.network_policy.enabled and not found.addons_config.network_policy_config.disabled,
        multi_networking=network.enable_multi_networking,
        workload_pool=found.workload_identity_config.workload_pool,
        gcs_fuse=found.addons_config.gcs_fuse_csi_driver_config.enabled,
        labels=dict(found.resource_labels),
        host=dns.endpoint if by_dns else _address(found),
        ca_certificate="" if by_dns else found.master_auth.cluster_ca_certificate,
        pools={pool.name: _pool(pool, found) for pool in found.node_pools},
    )


def _address(found: container_v1.Cluster) -> str:
    """The IP address that the control plane answers at: the private one if it has no other."""
    private = found.private_cluster_config
    return private.private_endpoint if private.enable_private_endpoint and private.private_endpoint else found.endpoint


def _pool(found: container_v1.NodePool, cluster: container_v1.Cluster) -> cloud.NodePool:
    return cloud.NodePool(
        name=found.name,
        status=found.status.name,
        machine_type=found.config.machine_type,
        zones=tuple(found.locations or cluster.locations),
        groups=tuple(found.instance_group_urls),
        additional_networks=len(found.network_config.additional_node_network_configs),
        accelerator_profile=found.network_config.accelerator_network_profile,
        labels=dict(found.config.labels),
    )
