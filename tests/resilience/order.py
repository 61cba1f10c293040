"""Order: nothing that a living object needs is gone before it, at any moment of an `up` or a `destroy`.

What needs what, and why, stands in `rehearsal/timeline/needs.py`. Here it is held against what lives in the embedded
cloud, whatever the engine recorded, and each proof can fail by itself:

- the checker looks at the whole cloud after every create and delete;
- the program's recorded waits lack none of the page and have none beyond it;
- every object that another one needs is offered to the cloud for deletion while all live: it must be refused, or missed
  by the checker (Helm refuses nothing);
- negative controls: for each rule the edges of the state are cut that keep what is needed until last, and the real
  engine, which then deletes it first, must be refused, or the checker must see it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rehearsal import ApiError, Call, CloudResource, CloudState, Rehearsal
from rehearsal.simulator.kubernetes import admission, helm, pods
from rehearsal.simulator.state import Key
from rehearsal.simulator.workloads import serving
from rehearsal.timeline import needs, plan
from rehearsal.timeline.needs import Rule
from rehearsal.timeline.plan import Named, Plan
from tests import stacks
from tests.resilience import life
from tests.resilience.life import ProofError

GRAPH, DOMAIN, RELEASE = serving.GRAPH, serving.COMPUTE_DOMAIN, serving.RELEASE
DOMAINS = "dynamo-a4x:domains"


@dataclass
class InvariantChecker:
    """Looks at the cloud after every create and delete."""

    rehearsal: Rehearsal
    wrong: list[str] = field(default_factory=list[str])
    looks: int = 0
    most_graphs_on_a_node_pool: int = 0
    events: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Creates and deletes in order: operation, kind, id."""
    _alive: dict[Key, Named] = field(default_factory=dict[Key, Named])
    _seen: set[Key] = field(default_factory=set[Key])
    _asked: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Kind and id of what the engine wanted to delete: what else goes went with something that it needs."""
    _shared: dict[str, tuple[Rule, Key, Key]] = field(default_factory=dict[str, tuple[Rule, Key, Key]])
    """Rule, user and need of a message by a rule about all of a role."""
    _new: bool = True
    """Whether it saw everything made: an environment that stood before may grow by what its parts need too."""

    def arm(self) -> None:
        """Stand behind the cloud's calls."""
        self._new = not life.in_the_cloud(self.rehearsal)
        self._alive = alive(self.rehearsal.state)
        self._seen = set(self._alive)
        self.rehearsal.cloud.faults.before.append(self._ask)
        self.rehearsal.cloud.faults.after.append(self._look)

    def require(self, when: str) -> None:
        """Raise `ProofError` when anything was out of order.

        One of several that all are needed (a node pool) may go for good while its users stay: an environment shrinks.
        Where a rule says so, it may be replaced too.
        """
        wrong = [text for text in dict.fromkeys(self.wrong) if not self._is_let_go(text)]
        if wrong:
            raise ProofError(f"{when}: {'; '.join(wrong)}")

    def _is_let_go(self, text: str) -> bool:
        if text not in self._shared:
            return False
        rule, user, need = self._shared[text]
        return user in self._alive and (rule.outlives or need not in self._alive)

    def position(self, op: str, kind: str) -> list[int]:
        """Where creates or deletes of a kind stand in the order of events."""
        return [i for i, (did, what, _) in enumerate(self.events) if (did, what) == (op, kind)]

    def _ask(self, call: Call) -> None:
        if call.op == "delete":
            self._asked.add((call.kind, call.id))

    def _look(self, call: Call) -> None:
        if call.op not in ("create", "delete", "update") or call.preview:
            return
        self.looks += 1
        self.events.append((call.op, call.kind, call.id))
        with self.rehearsal.state.lock:
            now = alive(self.rehearsal.state)
            for text, rule, *pair in losses(self._alive, now, self._asked):
                self.wrong.append(text)
                if rule.which == needs.ALL:
                    self._shared[text] = (rule, pair[0], pair[1])
            if self._new:
                self.wrong += early(self._alive, now, self._seen)
            self._alive = now
            self._seen |= now.keys()
            pools: dict[str, int] = {}
            for graph in self.rehearsal.state.find(GRAPH):
                for pool in {p for role in serving.roles(graph.outputs) for p in pods.pools_of(role.pod)}:
                    pools[pool] = pools.get(pool, 0) + 1
            self.most_graphs_on_a_node_pool = max([self.most_graphs_on_a_node_pool, *pools.values()])


def alive(state: CloudState) -> dict[Key, Named]:
    """What lives, as the rules see it; what a chart or a service made for itself is theirs to order."""
    things = {t.key: plan.named_of(t.urn, t.kind, t.inputs, t.outputs) for t in state if t.origin != "service"}
    patches = [(f"{t.kind}Patch", t.scope, t.id) for t in state if t.applied]
    return {**things, **{key: plan.named_of("", key[0], {}, {}) for key in patches}}


def lost(before: Mapping[Key, Named], now: Mapping[Key, Named]) -> list[str]:
    """What lives and needs something that went since `before`."""
    return [text for text, *_ in losses(before, now)]


def losses(
    before: Mapping[Key, Named], now: Mapping[Key, Named], asked: Collection[tuple[str, str]] | None = None
) -> Iterator[tuple[str, Rule, Key, Key]]:
    """What lives and needs something that went since `before`; or went with it, where it is known what was asked.

    Each as message, rule, user and need.
    """
    if not before.keys() - now.keys():
        return
    things = {**before, **now}
    for rule, who, need in needs.pairs(things, "destroy"):
        if need not in now and (who in now or (asked is not None and (who[0], who[2]) not in asked)):
            how = "lives without" if who in now else "went with"
            yield f"{_spoken(who, things)} {how} {_spoken(need, things)}: {rule.reason}", rule, who, need


def early(before: Mapping[Key, Named], now: Mapping[Key, Named], seen: Collection[Key]) -> list[str]:
    """What stood before something came that it needs, for the first time."""
    if now.keys() <= set(seen):
        return []
    return [
        f"{_spoken(who, now)} was made before {_spoken(need, now)}: {rule.reason}"
        for rule, who, need in needs.pairs(now, "up")
        if who in before and need not in seen
    ]


def _spoken(key: Key, things: Mapping[Key, Named]) -> str:
    kind, _, id_ = key
    return things[key].role.partition(":")[2] if kind == RELEASE else f"{kind.rsplit(':', 1)[-1]} {id_}"


def every_part(environment: str) -> dict[str, Any]:
    """The config with which an environment has every part; with DRANET the other mode of all that changes the order."""
    if environment.endswith(life.FOREIGN):
        return {}
    file = stacks.config(environment.removesuffix(life.DRANET))
    config: dict[str, Any] = {DOMAINS: [{**domain, "fabricTest": {}} for domain in file[DOMAINS]]}
    created = file["dynamo-a4x:cluster"]["mode"] == "create"
    if created and not environment.endswith(life.DRANET):
        config["dynamo-a4x:metadata"] = {"secureTags": {"tagKeys/1": "tagValues/2"}}
        config["dynamo-a4x:isolation"] = {"rdmaFirewall": "tagKeys/1"}
    if environment.endswith(life.DRANET):
        config["dynamo-a4x:dynamo"] = {**file["dynamo-a4x:dynamo"], "version": "1.0.2", "systemTolerations": True}
        config["dynamo-a4x:workloadIdentity"] = "serviceAccount"
        if created:
            ring = "projects/company-keys/locations/us-central1/keyRings/ring/cryptoKeys"
            uses = ("disks", "secrets", "bucket", "volumes")
            config["dynamo-a4x:encryption"] = {**{use: f"{ring}/for-{use}" for use in uses}, "grant": True}
    return config


def recorded(environment: str) -> tuple[int, Plan]:
    """An `up` and a `destroy` under the checker: how often it looked, and what the engine recorded."""
    with life.rehearse(environment, every_part(environment)) as rehearsal:
        checker = InvariantChecker(rehearsal)
        checker.arm()
        rehearsal.up()
        found = plan.read(rehearsal.export())
        rehearsal.destroy()
        checker.require(environment)
        life.require_empty(rehearsal, environment)
    return checker.looks, found


def against_the_page(found: Plan) -> list[str]:
    """Where the recorded waits and the page of order differ."""

    def said(verb: str, pair: tuple[str, str]) -> str:
        return f"{found.tasks[pair[0]].name} {verb} {found.tasks[pair[1]].name}"

    missing = {pair for op in ("up", "destroy") for pair in needs.necessary(found, op).missing}
    beyond = [wait for wait in needs.superfluous(found) if not any(needs.allowed(found, wait))]
    return [
        *(said("does not wait for", pair) for pair in sorted(missing)),
        *(said("waits without a reason for", wait) for wait in beyond),
    ]


def negative_controls(environment: str, most: int | None) -> tuple[int, int]:
    """What others need is deleted first, straight in the cloud and by the engine: refused, or seen by the checker.

    By the engine all of them, or `most` from all over. Returns how many of each.
    """
    with life.rehearse(environment, every_part(environment)) as rehearsal:
        rehearsal.up()
        offered, cut = _offer_each(rehearsal), _cut_each(rehearsal, most)
        rehearsal.destroy()
        life.require_empty(rehearsal, f"{environment}, after the negative controls")
    return offered, cut


def _offer_each(rehearsal: Rehearsal) -> int:
    """Offer every object that another one needs to the cloud for deletion while all live."""
    needed = _victims(rehearsal.export())
    offered = [resource for resource in life.in_the_cloud(rehearsal) if resource.urn in needed]
    unnoticed = [str(resource) for resource in offered if not _refused_or_seen(rehearsal, resource)]
    if unnoticed:
        raise ProofError(f"{rehearsal.name}: deleted in use, and nobody noticed: {', '.join(unnoticed)}")
    return len(offered)


def _refused_or_seen(rehearsal: Rehearsal, resource: CloudResource) -> bool:
    state = rehearsal.state
    before = alive(state)
    with restored(state):
        try:
            if resource.kind.startswith("gcp:"):
                rehearsal.cloud.gcp.delete(Call(op="delete", kind=resource.kind), resource.id)
            elif resource.kind == RELEASE:
                helm.delete(state, resource)
            else:
                admission.at_delete(state, resource)
                state.remove(resource.key)
        except ApiError:
            return True
        return any(losses(before, alive(state), {(resource.kind, resource.id)}))


@contextmanager
def restored(state: CloudState) -> Iterator[None]:
    """Whatever happens to the cloud is undone at the end."""
    before = copy.deepcopy((state._resources, state.seats))
    try:
        yield
    finally:
        state._resources, state.seats = before


def _victims(export: Mapping[str, Any]) -> dict[str, list[Rule]]:
    """What a living resource needs on the way down, and the rules that say so, in the order of the page."""
    custom = {urn: task.named for urn, task in plan.read(export).tasks.items() if task.custom}
    found: dict[str, list[Rule]] = {}
    for rule, _, need in needs.pairs(custom, "destroy"):
        found.setdefault(need, []).append(rule)
    return found


def _cut_each(rehearsal: Rehearsal, most: int | None) -> int:
    """Cut the edges of one resource after another and let the engine destroy."""
    whole = rehearsal.export()
    victims = list(_victims(whole).items())
    chosen = victims[:: -(-len(victims) // most) if most else 1]
    for victim, rules in chosen:
        with restored(rehearsal.state):
            rehearsal.cli(["stack", "import"], text=json.dumps(broken(whole, victim)))
            _require_caught(rehearsal, victim, rules)
    rehearsal.cli(["stack", "import"], text=json.dumps(whole))
    return len(chosen)


def _require_caught(rehearsal: Rehearsal, victim: str, rules: Iterable[Rule]) -> None:
    """A destroy that begins with `victim` is refused, or the checker sees what its users then lack."""
    checker = InvariantChecker(rehearsal)
    checker.arm()
    rehearsal.cloud.faults.fail(lambda call: call.op == "delete" and call.urn != victim, "enough", times=1000)
    error = life.failed(lambda: rehearsal.destroy(parallel=1))
    rehearsal.cloud.faults.clear()
    if error and any(cause.startswith(life.spoken(victim)) for cause in error.causes):
        return
    for rule in rules:
        if not any(wrong.endswith(rule.reason) for wrong in checker.wrong):
            raise ProofError(f"{rehearsal.name}: {victim}: nobody refused, and nobody saw: {rule.reason}: {error}")


def broken(state: dict[str, Any], victim: str) -> dict[str, Any]:
    """A copy of a state in which nothing depends on `victim` and it depends on all others: it is deleted first."""
    changed = copy.deepcopy(state)
    resources = changed["deployment"]["resources"]
    for resource in resources:
        for key in ("dependencies", "replaceWith"):
            if victim in resource.get(key, []):
                resource[key] = [urn for urn in resource[key] if urn != victim]
        for key, urns in list(resource.get("propertyDependencies", {}).items()):
            resource["propertyDependencies"][key] = [urn for urn in urns or [] if urn != victim]
        if resource["urn"] == victim:
            resource["dependencies"] = [other["urn"] for other in resources if other["urn"] != victim]
    resources.sort(key=lambda resource: resource["urn"] == victim)
    return changed
