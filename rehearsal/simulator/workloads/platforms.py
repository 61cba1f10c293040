"""Dynamo's platform chart and its operator, by release: what they install, need and take.

The releases 0.7.0, 1.0.1, near 1.2.1 and the development line of 1.5 were run (rows R, M and N of
docs/explanation/what-was-run.md); the charts of the others were read at commits near their tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from rehearsal.simulator.state import CloudResource
from rehearsal.simulator.values import Props, dig, mapping, text
from rehearsal.simulator.workloads.graphs import V1ALPHA1, V1BETA1

CHART: Final = "dynamo-platform"
Kind = tuple[str, str]
"""apiVersion and kind."""
Version = tuple[int, int]
"""Major and minor version."""

_KINDS_0_7: Final[tuple[Kind, ...]] = tuple(
    (V1ALPHA1, kind)
    for kind in (
        *("DynamoGraphDeployment", "DynamoGraphDeploymentRequest"),
        *("DynamoComponentDeployment", "DynamoModel"),
    )
)
_KINDS_1_0: Final = (
    *_KINDS_0_7,
    (V1ALPHA1, "DynamoGraphDeploymentScalingAdapter"),
    (V1ALPHA1, "DynamoWorkerMetadata"),
)
_GROVE: Final[tuple[Kind, ...]] = (
    *(("grove.io/v1alpha1", kind) for kind in ("PodCliqueSet", "PodClique", "PodCliqueScalingGroup")),
    ("scheduler.grove.io/v1alpha1", "PodGang"),
)


@dataclass(frozen=True)
class Platform:
    """Behaviour of the releases from `first` on."""

    first: Version
    kinds: tuple[Kind, ...] = _KINDS_0_7
    """Custom kinds of the operator, without which it does not start."""
    more_kinds: tuple[Kind, ...] = ()
    """Kinds that it applies too, and does not need."""
    versions: tuple[str, ...] = (V1ALPHA1,)
    """API versions of a graph, of which the last is the one that a client prefers."""
    storage: str = V1ALPHA1
    """The version that graphs are stored in. Others are converted by a webhook of the operator (M15, N16)."""
    grove: str = "0.1.0-alpha.3"
    """Release of the Grove in its chart."""
    kai: str = "0.9.4"
    """Release of the KAI in its chart."""
    kai_from: tuple[int, int, int] = (0, 0, 0)
    """First release of KAI that it takes (its table of compatible releases; K1 and K9 for later ones)."""
    global_switches: bool = False
    """Whether Grove and KAI are switched below `global`; the old names are ignored, or refused from 1.2 on."""
    renamed_nats: bool = False
    """Whether NATS is switched below `global` too, and the template fails on every old name."""
    installs_nats: bool = True
    """Whether NATS is on unless the values say otherwise."""
    needs_nats: bool = True
    needs_etcd: bool = False
    asks_hub: bool = True
    """Whether frontends ask the model hub for the tokenizer; from 1.4 on, workers serve it (lib/llm/src/hub.rs)."""
    webhooks: bool = True
    """Whether graphs are judged by webhooks of the operator, which fail closed (recordings, state 14)."""
    component_types: bool = False
    """N7, M5: workers have the component type `prefill` or `decode`; before, `worker`."""
    whole_cliques: bool = False
    """M3, N3: a gang has all pods of a clique; before, one (R12)."""
    fixes_components: bool = False
    """N19: the webhook refuses other components, another framework, and multinode added or removed."""
    judges_images: bool = False
    """Whether every component needs the runtime's release (read)."""
    reads_pod_switch: bool = False
    """M6: the annotation that turns the discovery of pull secrets off is read from the pod template."""
    gang_priority: bool = False
    """N3: Grove makes the PodGroups itself, and the pods' priority class does not count."""
    one_worker_hash: bool = False
    """N13: a change of one worker role replaces the pods of all."""
    reuses_names: bool = True
    """V4: a graph of a name that was there before is served."""
    shortens_names: bool = False
    """A PodCliqueSet's name is shortened to what fits (recordings, `10-long-name-accepted`)."""


_EARLY = Platform((0, 0), needs_etcd=True, webhooks=False, reuses_names=False)
_1_0 = replace(
    _EARLY,
    first=(1, 0),
    kinds=_KINDS_1_0,
    grove="0.1.0-alpha.6",
    kai="0.13.0-rc1",
    global_switches=True,
    needs_etcd=False,
    webhooks=True,
    reuses_names=True,
)
_1_1 = replace(_1_0, first=(1, 1), grove="0.1.0-alpha.8", kai="0.13.4", kai_from=(0, 13, 4), whole_cliques=True)
_1_2 = replace(
    _1_1,
    first=(1, 2),
    more_kinds=((V1ALPHA1, "DynamoCheckpoint"),),
    versions=(V1ALPHA1, V1BETA1),
    renamed_nats=True,
    component_types=True,
    fixes_components=True,
    reads_pod_switch=True,
    shortens_names=True,
)
_1_4 = replace(
    _1_2,
    first=(1, 4),
    grove="0.1.0-alpha.12-rc1",
    installs_nats=False,
    needs_nats=False,
    asks_hub=False,
    judges_images=True,
)
_1_5 = replace(
    _1_4,
    first=(1, 5),
    storage=V1BETA1,
    grove="0.1.0-alpha.13",
    kai="0.17.0",
    kai_from=(0, 17, 0),
    gang_priority=True,
    one_worker_hash=True,
)
PLATFORMS: Final = (_EARLY, _1_0, _1_1, _1_2, _1_4, _1_5)
"""By `first`, ascending; the last one that is not later than a release applies to it."""

GROVES: Final[tuple[tuple[str, tuple[Kind, ...]], ...]] = (
    ("0.1.0-alpha.3", _GROVE),
    ("0.1.0-alpha.8", (*_GROVE, ("grove.io/v1alpha1", "ClusterTopology"))),
    ("0.1.0-alpha.12", (*_GROVE, ("grove.io/v1alpha1", "ClusterTopologyBinding"))),
)
"""Kinds of Grove from a release on."""

_REMOVED: Final = (
    *("nats.enabled", "etcd.enabled", "grove.enabled", "kai-scheduler.enabled"),
    *(
        f"dynamo-operator.{name}"
        for name in (
            *("nats.enabled", "webhook.enabled", "webhook.certGenerator", "webhook.certificateValidity"),
            *("dynamo.mpiRun.sshKeygen", "dynamo.internalImages", "dynamo.enableRestrictedSecurityContext"),
            "checkpoint.readyForCheckpointFilePath",
        )
    ),
)
"""Values on which the template fails from 1.2 on (templates/validate-values.yaml of both charts)."""


def minor(version: str) -> Version:
    """Major and minor version in the text of a version; (0, 0) if there is none."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def of(version: str) -> Platform:
    """How a release behaves."""
    return next(one for one in reversed(PLATFORMS) if one.first <= minor(version))


def of_release(release: CloudResource) -> Platform:
    """How the platform of a Helm release behaves."""
    return of(text(release.outputs, "status.version"))


def removed_values(version: str, values: Props) -> list[str]:
    """Values of an earlier release on which the template of this one fails."""
    return [path for path in _REMOVED if dig(values, path) is not None] if of(version).renamed_nats else []


def installs(version: str, values: Props, part: str) -> bool:
    """Whether the chart of a release installs its `grove`, `kai-scheduler`, `nats` or `etcd`."""
    platform = of(version)
    new = platform.renamed_nats if part == "nats" else platform.global_switches
    said = dig(values, f"global.{part}.install") if new else dig(values, f"{part}.enabled")
    default = {"nats": platform.installs_nats, "etcd": not platform.global_switches}.get(part, False)
    return said is True if isinstance(said, bool) else default


def uses(version: str, values: Props, part: str) -> bool:
    """Whether the operator of a release works with `grove` or `kai-scheduler`; before 1.0 it looks for them itself."""
    if not of(version).global_switches or installs(version, values, part):
        return True
    return mapping(values, f"global.{part}").get("enabled") is True


def grove_kinds(version: str) -> tuple[Kind, ...]:
    """The custom kinds of a release of Grove."""
    return next(kinds for first, kinds in reversed(GROVES) if alpha(first) <= alpha(version))


def alpha(version: str) -> int:
    """The number of an alpha release of Grove."""
    match = re.search(r"alpha\.(\d+)", version)
    return int(match[1]) if match else 0
