"""Downloads the model's weights into the bucket, with a Job in the cluster.

The recipe says "download model files into the bucket" and gives no command. The Job runs on the system nodes while
platform and node pool are still being created, resumes where it stopped when it is restarted, and finishes at once if
the files exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.network_policies import Specs, network_policies
from components.platform.owned_namespace import namespace_for
from manifests import certificates, gcsfuse, restricted
from manifests.commands import DOWNLOAD_NAME
from reference import capacity, machines, naming, outbound, pod_security
from reference.registry import HF_KEY, HF_SECRET

HUGGINGFACE_HUB: Final = "2.4.0"
"""Release of huggingface_hub in the Job; it resumes partial downloads and retries on status 429."""

SCRIPT: Final = """\
set -eu
pip install --quiet --user --no-cache-dir --no-warn-script-location "huggingface_hub==$HUB_VERSION"
"$PYTHONUSERBASE/bin/hf" download "$MODEL" --local-dir "$TARGET"
"""


_SCRATCH: Final = "/scratch"


class ModelDownloadArgs(TypedDict):
    """Inputs of a `ModelDownload`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    model: str
    """Hugging Face id of the model; its files are below this name in the bucket."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    namespace: str
    """Namespace of the Job."""

    create_namespace: bool
    """Whether the namespace is created; else it exists, and stays."""

    policies: Specs
    """NetworkPolicies of the namespace; none: every pod of the cluster reaches it."""

    service_account: str
    """Name of the Kubernetes service account that may write to the bucket."""

    service_account_annotations: pulumi.Input[Mapping[str, str]]
    """Annotations that Workload Identity needs on that account."""

    bucket: pulumi.Input[str]
    """The model bucket."""

    hf_token: pulumi.Input[str]
    """Hugging Face token, a secret."""

    variables: Mapping[str, str]
    """Further variables of the Job: proxy, mirrors, certificates."""

    certificates: str | None
    """Certificates (PEM) that the Job trusts; None: its image's own."""
    image: str
    """Image with Python and pip."""

    on_a4x: bool
    """Whether the Job's pod may run on A4X nodes; else it runs on an amd64 node."""

    tolerations: Sequence[machines.Toleration]
    """Of the Job's pod, for the taints of its nodes."""


class ModelDownload(pulumi.ComponentResource):
    """A Job that downloads one model, in a namespace of its own."""

    model: pulumi.Output[str]
    """The model's id, known once the Job has finished."""

    def __init__(self, name: str, args: ModelDownloadArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:ModelDownload", name, {}, opts)
        tolerations: Any = [dict(toleration) for toleration in args["tolerations"]]
        provider, model = args["provider"], args["model"]
        labels = naming.kubernetes_labels(args["environment"])
        where = namespace_for(
            self, name, args["namespace"], labels, provider, part="download", create=args["create_namespace"]
        )
        isolation = network_policies(self, name, {"namespace": where, "labels": labels}, args["policies"], provider)
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata={
                "name": args["service_account"],
                "namespace": where,
                "labels": labels,
                "annotations": args["service_account_annotations"],
            },
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        secret = kubernetes.core.v1.Secret(
            f"{name}-hf-token-secret",
            metadata={"name": HF_SECRET, "namespace": where, "labels": labels},
            string_data={HF_KEY: args["hf_token"]},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        environment: list[kubernetes.core.v1.EnvVarArgsDict] = [
            {"name": "MODEL", "value": model},
            {"name": "TARGET", "value": gcsfuse.model_path(model)},
            {"name": "HUB_VERSION", "value": HUGGINGFACE_HUB},
            {"name": "HF_HOME", "value": f"{_SCRATCH}/hf"},
            # Where pip installs for a user, and looks for its programs.
            {"name": "PYTHONUSERBASE", "value": f"{_SCRATCH}/python"},
            *({"name": name, "value": value} for name, value in pod_security.ENVIRONMENT.items()),
            *({"name": name, "value": value} for name, value in args["variables"].items()),
            {
                "name": HF_KEY,
                "value_from": {"secret_key_ref": {"name": secret.metadata["name"], "key": HF_KEY}},
            },
        ]
        trusted: Any = []
        if args["certificates"] is not None:
            config_map = kubernetes.core.v1.ConfigMap(
                f"{name}-certificates",
                metadata={"name": certificates.CONFIG_MAP, "namespace": where, "labels": labels},
                data={outbound.CA_KEY: args["certificates"]},
                opts=pulumi.ResourceOptions(parent=self, provider=provider),
            )
            trusted = [certificates.volume(config_map.metadata["name"])]
        mounts: Any = [certificates.mount() for _ in trusted]
        job = kubernetes.batch.v1.Job(
            f"{name}-job",
            metadata={
                # A Job's template is immutable, so another model is another Job.
                "name": f"download-{naming.content_hash(model)}",
                "namespace": where,
                "labels": labels,
            },
            spec={
                "backoff_limit": 10,
                "template": {
                    "metadata": {
                        "labels": {naming.NAME_LABEL: DOWNLOAD_NAME},
                        "annotations": dict(gcsfuse.ANNOTATIONS),
                    },
                    "spec": {
                        "service_account_name": account.metadata["name"],
                        "automount_service_account_token": False,
                        "security_context": restricted.pod(owns_volumes=True),
                        "restart_policy": "OnFailure",
                        # A Job's template is immutable, so what is not needed is left out.
                        "node_selector": None if args["on_a4x"] else {machines.ARCH_KEY: "amd64"},
                        "tolerations": tolerations or None,
                        "containers": [
                            {
                                "name": "download",
                                "image": args["image"],
                                "command": ["/bin/sh", "-c", SCRIPT],
                                "env": environment,
                                "security_context": restricted.container(read_only=True),
                                "resources": {"requests": capacity.MODEL_DOWNLOAD.requests()},
                                "volume_mounts": [
                                    {"name": gcsfuse.VOLUME, "mount_path": gcsfuse.MODEL_ROOT},
                                    {"name": "scratch", "mount_path": _SCRATCH},
                                    {"name": "tmp", "mount_path": pod_security.HOME},
                                    *mounts,
                                ],
                            }
                        ],
                        "volumes": [
                            # With the group of its pod (`gid`, and modes 664 and 775) unless the options say more.
                            gcsfuse.volume(args["bucket"], f"uid={restricted.USER}"),
                            {"name": "scratch", "empty_dir": {}},
                            {"name": "tmp", "empty_dir": {}},
                            *trusted,
                        ],
                    },
                },
            },
            # DeepSeek-R1 is 700 GB; the hub limits a client's rate.
            opts=pulumi.ResourceOptions(
                parent=self, provider=provider, depends_on=isolation, custom_timeouts=pulumi.CustomTimeouts(create="6h")
            ),
        )
        self.model = job.status.apply(lambda _: model)
        self.register_outputs({"model": self.model})
