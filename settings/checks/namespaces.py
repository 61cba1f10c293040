"""Rules of namespaces: each has one owner, and nothing is created that must outlive what runs in one of others."""

from __future__ import annotations

from collections.abc import Iterator

from reference import namespaces
from serving_rules import layout
from settings.model import AdoptDynamo, CreateCluster, CreateDraDriver, CreateKai, Settings
from validation.problems import Problem

_CREATE = "namespaces.create"


def check(settings: Settings) -> Iterator[Problem]:
    """The platform, the downloads and each stack have a namespace of their own."""
    fix = "choose another name, such as"
    platform = settings.dynamo.namespace
    taken = namespaces.owner(platform)
    # An adopted platform may be in `default`; a created one gets a new namespace.
    if taken and not (isinstance(settings.dynamo, AdoptDynamo) and platform == namespaces.DEFAULT):
        yield _taken("dynamo.namespace", platform, taken, f"{fix} dynamo-cloud")
    used = {platform: "the Dynamo platform (dynamo.namespace)"}
    for key, name, default, who in _of_parts(settings):
        taken = used.get(name) or (namespaces.owner(name) if name != default else None)
        # A platform in the default namespace of a part is reported already.
        if taken and not (name == platform == default):
            yield _taken(key, name, taken, fix.removesuffix(", such as"))
        used.setdefault(name, who)
    for i, stack in enumerate(settings.stacks):
        taken = used.get(stack.space) or namespaces.owner(stack.space)
        if taken and stack.namespace is None:
            rule = f"a stack's name is its namespace, and this namespace has another use: it belongs to {taken}"
            yield Problem(f"stacks[{i}].name", stack.name, rule, f"{fix} r1")
        elif taken:
            yield _taken(f"stacks[{i}].namespace", stack.space, taken, f"{fix} r1")
        if stack.name not in {other.name for other in settings.stacks[:i]}:
            used.setdefault(stack.space, f"stack {stack.name!r}")


def _of_parts(settings: Settings) -> Iterator[tuple[str, str, str | None, str]]:
    """Namespaces of what is created beside the platform: key, name, default, and whose it is."""
    given = settings.namespaces
    if isinstance(settings.kai, CreateKai):
        yield "namespaces.kai", given.kai, namespaces.KAI, "KAI, the scheduler (namespaces.kai)"
    if isinstance(settings.dra_driver, CreateDraDriver):
        yield "namespaces.draDriver", given.dra_driver, namespaces.DRA_DRIVER, "the DRA driver (namespaces.draDriver)"
    if given.downloads is not None:
        yield "namespaces.downloads", given.downloads, None, "the download of the model (namespaces.downloads)"


def _taken(key: str, name: str, owner: str, fix: str) -> Problem:
    return Problem(key, name, f"this namespace has another use: it belongs to {owner}", fix)


def given(settings: Settings) -> Iterator[Problem]:
    """Everything that needs a namespace names one where none is created."""
    downloads, names = settings.model_bucket.download and bool(settings.stacks), settings.namespaces
    if names.downloads is not None:
        models = _models(settings)
        if not settings.model_bucket.download:
            rule = "nothing is downloaded, because modelBucket.download is off"
            yield Problem("namespaces.downloads", names.downloads, rule, "remove the key")
        elif len(models) > 1:
            rule = f"a namespace has room for one download, and the stacks serve {' and '.join(models)}"
            yield Problem(
                "namespaces.downloads", names.downloads, rule, "remove the key, or set modelBucket.download: false"
            )
    if names.create:
        return
    if isinstance(settings.cluster, CreateCluster):
        yield Problem(_CREATE, False, "a created cluster has no existing namespaces to use", f"set {_CREATE}: true")
        return
    if downloads and names.downloads is None:
        rule = f"{_CREATE} is false, and a download needs a namespace"
        yield Problem("namespaces.downloads", None, rule, "name one that exists, or set modelBucket.download: false")
    for i, domain in enumerate(settings.domains):
        if domain.fabric_test is not None:
            rule = f"a fabric test makes a namespace of its own, which ends only with its pods, and {_CREATE} is false"
            yield Problem(
                f"domains[{i}].fabricTest", domain.fabric_test.model_dump(by_alias=True), rule, "remove one of the two"
            )


def _models(settings: Settings) -> list[str]:
    found: set[str] = set()
    for stack in settings.stacks:
        try:
            found.add(layout.load(stack.layout).model)
        except layout.LayoutError:
            # Reported by the check of layouts.
            continue
    return sorted(found)
