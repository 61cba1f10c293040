"""Pod Security Standards of the namespaces that the program creates.

`enforce` where it is sure what the pods need, otherwise `warn` and `audit`. Judged by k8s.io/pod-security-admission
(tests/conformance): workers mount paths of the host and so violate `baseline`, privileged or not; the pods of a
download satisfy `restricted`, and so does the sidecar that mounts their bucket (gcs-fuse-csi-driver
`pkg/webhook/sidecar_spec.go`, issue 52).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from reference.flows import Part

Standard = Literal["privileged", "baseline", "restricted"]

PREFIX: Final = "pod-security.kubernetes.io/"
ENFORCE: Final = f"{PREFIX}enforce"
"""Label of a namespace with the standard whose violation refuses a pod."""

ENFORCED: Final[Mapping[Part, Standard]] = {
    "stack": "privileged",
    "fabric-test": "privileged",
    "dra-driver": "privileged",
    "download": "restricted",
}
"""By the part of an environment. Not known of the Dynamo platform and of KAI, whose charts make pods of their own."""
_WATCHED: Final[Mapping[Part, Standard]] = {"stack": "baseline", "dynamo": "baseline", "kai": "baseline"}

HOME: Final = "/tmp"  # noqa: S108 - writable for every user of an image
ENVIRONMENT: Final = {"HOME": HOME, "USER": "nonroot"}
"""Variables of pods that satisfy `restricted`, for programs that ask for their user, whom the image does not know:
without HOME, `hf` of huggingface_hub 2.4.0 ends with an error (run as such a user)."""
OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Variables with which Hugging Face's libraries ask no hub."""
SYSTEM_HOST: Final = "DYN_SYSTEM_HOST"
"""Variable with the address of Dynamo's system port; 0.0.0.0 if it is not set (dynamo `lib/runtime/src/config.rs`)."""


def labels(part: Part) -> dict[str, str]:
    """Labels of the namespace of a part."""
    enforced = {ENFORCE: ENFORCED[part]} if part in ENFORCED else {}
    watched = {f"{PREFIX}{mode}": _WATCHED[part] for mode in ("warn", "audit") if part in _WATCHED}
    return {**enforced, **watched}
