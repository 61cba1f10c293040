"""Rules across keys, checked before anything is registered.

Each check is a small function from `Settings` to the problems it finds, so that one run reports all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from reference import gke, kai, naming
from reference.dynamo import PROFILES, REFUSED, DynamoProfile
from reference.machines import A4X
from serving_rules import arguments, estimate, layout, rules
from serving_rules.rules import experts
from settings.checks import (
    encryption,
    identities,
    images,
    isolation,
    maintenance,
    metadata,
    namespaces,
    network,
    node_pools,
    nodes,
    platform_parts,
    pod_capacity,
    pods,
    project_number,
    raw_fields,
    security,
    vulnerabilities,
)
from settings.model import AdoptDynamo, CreateCluster, CreateDomain, CreateKai, Domain, NoKai, Settings, Stack
from validation.problems import Problem, refused
from validation.unknown_keys import nearest

Check = Callable[[Settings], Iterator[Problem]]


def problems(settings: Settings) -> list[Problem]:
    """Everything that is wrong with `settings`, in the order of the config reference."""
    return [problem for check in CHECKS for problem in check(settings)]


def warnings(settings: Settings) -> list[str]:
    """What is allowed but probably a mistake."""
    found = [
        gke.check_nodes(domain.nodes, f"domains[{i}].nodes")
        for i, domain in enumerate(settings.domains)
        if isinstance(domain, CreateDomain)
    ]
    used = {stack.domain for stack in settings.stacks}
    found += [
        f"domains[{i}].fabricTest: no stack is placed in domain {domain.name!r}, so nothing is tested; the test runs "
        "before the first stack."
        for i, domain in enumerate(settings.domains)
        if domain.fabric_test is not None and domain.name not in used
    ]
    for part in (nodes, encryption, identities, maintenance, images, pods, isolation):
        found += part.warnings(settings)
    profile = settings.profile
    if isinstance(settings.kai, CreateKai):
        found.append(kai.warning(settings.kai.version, profile.version, profile.kai_run))
    if isinstance(settings.cluster, CreateCluster):
        found.append(gke.version_window(profile).warning(settings.cluster.version))
    found += network.warnings(settings)
    found.append(vulnerabilities.warning(settings))
    for i, stack in enumerate(settings.stacks):
        own = settings.profile_of(stack)
        chosen = layout.resolve(stack.layout, own, stack.overrides, _overrides(i))
        found += rules.warnings(chosen, own)
        if isinstance(said := _deepep(chosen, own, stack, i), str):
            found.append(said)
    return [warning for warning in dict.fromkeys(found) if warning]


def estimates(settings: Settings) -> list[str]:
    """One line for each serving stack: GPUs, memory, price. `settings` must have no problems."""
    return [f"{stack.name}: {_estimate(settings, stack, i)}." for i, stack in enumerate(settings.stacks)]


def _estimate(settings: Settings, stack: Stack, index: int) -> str:
    profile, domain = settings.profile_of(stack), settings.domain(stack.domain)
    chosen = layout.resolve(stack.layout, profile, stack.overrides, _overrides(index))
    frontends = stack.frontend.replicas or chosen.file.frontend.replicas
    return estimate.line(chosen, arguments.of(profile), frontends, domain.price_per_gpu_hour if domain else None)


def _overrides(index: int) -> str:
    return f"stacks[{index}].overrides"


def _environment(settings: Settings) -> Iterator[Problem]:
    name = settings.environment
    if not naming.DNS_LABEL.fullmatch(name) or len(name) > naming.ENVIRONMENT_MAX:
        yield Problem(
            "the Pulumi stack's name",
            name,
            f"it becomes part of labels, queues and namespaces: up to {naming.ENVIRONMENT_MAX} lower-case letters, "
            "digits and hyphens, a letter first",
            "pulumi stack rename, and rename Pulumi.<stack>.yaml with it",
        )


def _project(settings: Settings) -> Iterator[Problem]:
    yield from refused(gke.check_project, settings.project, "gcp:project")


def _region(settings: Settings) -> Iterator[Problem]:
    yield from refused(gke.check_region, settings.region, "gcp:region")


def _cluster(settings: Settings) -> Iterator[Problem]:
    cluster = settings.cluster
    if not isinstance(cluster, CreateCluster):
        return
    yield from refused(gke.check_cluster_name, cluster.name)
    profile = PROFILES.get(settings.dynamo.version)
    if profile is not None:
        yield from refused(gke.version_window(profile).check, cluster.version)
    parts = (("kai", settings.kai.mode), ("dynamo", settings.dynamo.mode), ("draDriver", settings.dra_driver.mode))
    for key, mode in parts:
        if mode == "adopt":
            rule = "a created cluster has nothing to adopt"
            yield Problem(f"{key}.mode", mode, rule, f"set {key}.mode: create")


def _domains(settings: Settings) -> Iterator[Problem]:
    yield from _unique("domains", [domain.name for domain in settings.domains], "a node pool's name is used once")
    if not settings.domains:
        rule = "an environment has at least one NVLink domain"
        yield Problem("domains", [], rule, "list one with name, mode, zone and nodes")
    for i, domain in enumerate(settings.domains):
        key = f"domains[{i}]"
        yield from refused(gke.check_zone, domain.zone, _region_of(settings, domain), f"{key}.zone")
        yield from refused(gke.check_pool_name, domain.name, f"{key}.name")
        if not isinstance(domain, CreateDomain) and isinstance(settings.cluster, CreateCluster):
            rule = "a created cluster has no node pool to adopt"
            yield Problem(f"{key}.mode", domain.mode, rule, f"set {key}.mode: create, with a reservation")


def _region_of(settings: Settings, domain: Domain) -> str:
    """The region that the domain's zone must be in; the zone's own if the region is invalid, which is reported."""
    known = not list(_region(settings))
    return settings.region if known else domain.zone.rpartition("-")[0]


def _fabric_tests(settings: Settings) -> Iterator[Problem]:
    for i, domain in enumerate(settings.domains):
        key = f"domains[{i}].fabricTest"
        if domain.fabric_test is None:
            continue
        if domain.nodes < 2:
            rule = f"a fabric is tested between nodes, and domain {domain.name!r} has {domain.nodes}"
            yield Problem(
                key,
                domain.fabric_test.model_dump(by_alias=True, exclude_unset=True),
                rule,
                "remove the key, or choose a larger domain",
            )
        elif domain.tested_nodes > domain.nodes:
            rule = f"domain {domain.name!r} has {domain.nodes} nodes"
            fix = "choose as many or fewer, or leave the key out to test all"
            yield Problem(f"{key}.nodes", domain.tested_nodes, rule, fix)


def _one_rack_each(settings: Settings) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for i, domain in enumerate(settings.domains):
        if not isinstance(domain, CreateDomain):
            continue
        reservation = gke.parse_reservation(domain.reservation)
        if reservation.sub_block is None:
            continue
        path = reservation.path(settings.project)
        if path in seen:
            yield Problem(
                f"domains[{i}].reservation",
                domain.reservation,
                f"a sub-block is one NVLink domain, and domain {seen[path]!r} has this one",
                "give each domain a sub-block of its own",
            )
        seen.setdefault(path, domain.name)


def _one_zone(settings: Settings) -> Iterator[Problem]:
    zones = {domain.name: domain.zone for domain in settings.created_domains}
    cluster = settings.cluster
    if zones and (cluster.rdma == "multi-network" or cluster.device_networks is not None):
        yield from refused(gke.rdma_zone, zones)


def _kai(settings: Settings) -> Iterator[Problem]:
    adopted = isinstance(settings.dynamo, AdoptDynamo) and settings.cluster.mode == "adopt"
    if isinstance(settings.kai, CreateKai) and adopted:
        yield Problem(
            "kai.mode",
            settings.kai.mode,
            "a platform that is adopted was installed after its scheduler, and finds KAI only when it starts",
            "set kai.mode: adopt for the KAI that runs there, or none where there is none",
        )
    profile = PROFILES.get(settings.dynamo.version)
    if isinstance(settings.kai, CreateKai) and profile is not None:
        rule = kai.too_old(settings.kai.version, profile.version, profile.kai)
        if rule is not None:
            yield Problem("kai.version", settings.kai.version, rule, f"set {kai.DEFAULT_VERSION}")


def _dynamo(settings: Settings) -> Iterator[Problem]:
    version = settings.dynamo.version
    if version in REFUSED:
        yield Problem("dynamo.version", version, REFUSED[version], f"choose one of {', '.join(PROFILES)}")
    elif version not in PROFILES:
        rule = "there is no profile for this release"
        yield Problem("dynamo.version", version, rule, nearest(version, PROFILES))


def _stack_names(settings: Settings) -> Iterator[Problem]:
    yield from _unique("stacks", [stack.name for stack in settings.stacks], "a stack's name is used once")


def _stack_readiness(settings: Settings) -> Iterator[Problem]:
    for i, stack in enumerate(settings.stacks):
        limits = stack.readiness
        if limits.unschedulable_minutes >= limits.deadline_minutes:
            yield Problem(
                f"stacks[{i}].readiness.unschedulableMinutes",
                limits.unschedulable_minutes,
                f"the check gives up after {limits.deadline_minutes} minutes (deadlineMinutes), before a pod without "
                "a node would be reported",
                "choose fewer minutes than the deadline, or a later deadline",
            )


def _stack_releases(settings: Settings) -> Iterator[Problem]:
    """What only some releases can do for a stack, and what only an image of its own can have."""
    profile = PROFILES.get(settings.dynamo.version)
    if profile is None:
        return
    for i, stack in enumerate(settings.stacks):
        if stack.sglang not in (None, profile.sglang) and stack.image is None:
            rule = f"the image of Dynamo {profile.version} has SGLang {profile.sglang}"
            fix = f"remove it, or set stacks[{i}].image to one with SGLang {stack.sglang}"
            yield Problem(f"stacks[{i}].sglang", stack.sglang, rule, fix)
        if stack.gang != "whole":
            continue
        key = f"stacks[{i}].gang"
        if not profile.min_available:
            able = ", ".join(one.version for one in PROFILES.values() if one.min_available)
            rule = f"on Dynamo {profile.version} no role says how many of its replicas start together"
            yield Problem(key, stack.gang, rule, f"remove it, or set dynamo.version: {able}")
        elif isinstance(settings.kai, NoKai):
            rule = "KAI starts pods together, and kai.mode is none"
            yield Problem(key, stack.gang, rule, "remove it, or choose another kai.mode")


def _stack_layouts(settings: Settings) -> Iterator[Problem]:
    known = settings.dynamo.version in PROFILES
    reported: list[Problem] = []
    for i, stack in enumerate(settings.stacks):
        try:
            chosen = layout.load(stack.layout)
        except layout.LayoutError as error:
            for problem in error.problems:
                key = f"stacks[{i}].layout" if problem.key == "layout" else f"stacks[{i}].layout: {problem.key}"
                yield Problem(key, problem.value, problem.rule, problem.fix)
            continue
        if not known:
            continue
        profile = settings.profile_of(stack)
        chosen = chosen.overridden(stack.overrides, _overrides(i)).adapted(profile)
        if isinstance(lacking := _deepep(chosen, profile, stack, i), Problem):
            yield lacking
        found = rules.check(chosen, profile)
        # Two stacks with one layout report its problems once.
        new = [problem for problem in found if problem not in reported]
        reported += new
        yield from new


def _deepep(chosen: layout.Layout, profile: DynamoProfile, stack: Stack, index: int) -> Problem | str | None:
    return experts.deepep_image(chosen, profile, f"stacks[{index}].image", own_image=stack.image is not None)


def _stack_domains(settings: Settings) -> Iterator[Problem]:
    wanted: Counter[str] = Counter()
    for i, stack in enumerate(settings.stacks):
        domain = settings.domain(stack.domain)
        if domain is None:
            names = [domain.name for domain in settings.domains]
            rule = "a stack is placed in a domain that the config lists"
            yield Problem(f"stacks[{i}].domain", stack.domain, rule, nearest(stack.domain, names))
            continue
        try:
            nodes = layout.load(stack.layout).nodes
        except layout.LayoutError:
            continue
        wanted[domain.name] += nodes
        if wanted[domain.name] > domain.nodes:
            others = wanted[domain.name] - nodes
            taken = f", and other stacks take {others}" if others else ""
            yield Problem(
                f"stacks[{i}].layout",
                stack.layout,
                f"it takes {nodes} nodes ({nodes * A4X.gpus} GPUs), domain {domain.name!r} has {domain.nodes}{taken}",
                "choose a smaller layout, a larger domain (up to 18 nodes), or another domain: a stack never spans "
                "two, because prefill and decode share one NVLink fabric",
            )


def _unique(key: str, names: list[str], rule: str) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            index = len(names) - 1 - names[::-1].index(name)
            yield Problem(f"{key}[{index}].name", name, rule, "choose another name")


CHECKS: tuple[Check, ...] = (
    _environment,
    _project,
    _region,
    project_number.check,
    identities.accounts,
    encryption.keys,
    encryption.grants,
    encryption.storage_class,
    _cluster,
    _domains,
    network.location,
    network.own,
    network.devices,
    network.shared,
    network.endpoint,
    _fabric_tests,
    _one_rack_each,
    _one_zone,
    nodes.versions,
    nodes.software,
    nodes.dranet,
    _kai,
    _dynamo,
    platform_parts.check,
    _stack_names,
    namespaces.check,
    namespaces.given,
    isolation.clients,
    isolation.egress_ranges,
    isolation.rdma,
    isolation.rdma_firewall,
    _stack_readiness,
    _stack_releases,
    _stack_layouts,
    _stack_domains,
    pod_capacity.check,
    node_pools.check,
    maintenance.check,
    maintenance.upgrades,
    metadata.check,
    pods.check,
    security.check,
    raw_fields.check,
    images.check,
    images.chart_login,
)
