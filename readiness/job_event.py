"""Progress as one warning event on the check's own Job: all that `pulumi up` shows of a running Job.

Seen on pulumi-kubernetes 4.34: a warning event on the Job is shown in the Job's row, and each patch of the event with a
new text as a new line; normal events and events on the pod are not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from readiness.fields import inner, objects, text
from readiness.kubernetes import ApiError, Kubernetes
from readiness.message import head

REASON: Final = "Progress"
_LONGEST: Final = 1024
"""Bytes that the API server accepts as the message of an event."""
_JOB_LABEL: Final = "batch.kubernetes.io/job-name"
_COMPONENT: Final = "readiness-check"


class JobEvent:
    """The event of this run of the check."""

    def __init__(self, api: Kubernetes, namespace: str, job: str, pod: str) -> None:
        self._api, self._namespace, self._job, self._pod = api, namespace, job, pod
        self._name = ""
        self._count = 0
        self._first = ""

    def say(self, line: str) -> None:
        """Show `line`. Raises `ApiError`."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._first = self._first or now
        self._count += 1
        changed = {"message": head(line, _LONGEST), "count": self._count, "lastTimestamp": now}
        if self._name:
            try:
                self._api.patch("v1", "events", self._name, changed)
            except ApiError as error:
                # an event expires an hour after its last change, and a role may load longer
                if error.status != 404:
                    raise
            else:
                return
        self._create(changed)

    def _create(self, changed: Mapping[str, Any]) -> None:
        uid = self._job_uid()
        name = f"{self._job}.{datetime.now(UTC).timestamp():.6f}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": self._namespace},
            "involvedObject": {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": self._job,
                "namespace": self._namespace,
                "uid": uid,
            },
            "reason": REASON,
            "type": "Warning",
            "firstTimestamp": self._first,
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._pod,
            **changed,
        }
        self._api.create("v1", "events", body)
        self._name = name

    def _job_uid(self) -> str:
        """The Job's uid, from this pod's owner reference, without permission to read the Job."""
        pods = self._api.list("v1", "pods", labelSelector=f"{_JOB_LABEL}={self._job}")
        pods.sort(
            key=lambda pod: (text(pod, "metadata", "name") == self._pod, text(pod, "metadata", "creationTimestamp"))
        )
        owners = [text(owner, "uid") for pod in pods for owner in objects(inner(pod, "metadata"), "ownerReferences")]
        return owners[-1] if owners else ""
