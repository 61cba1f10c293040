"""Mirrors of image registries: whether they have every image, and whether the nodes may read them."""

from __future__ import annotations

from preflight.cloud import CloudError
from preflight.results import Outcome, failed, passed, warned
from preflight.site import Site
from reference import mirrors, naming
from settings import artifacts
from settings.model import CreateCluster

_EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_LISTED = 5
"""Images that a message names."""


def mirror(site: Site, place: str) -> Outcome:
    """The mirror has every image, for the architectures of its nodes, and the nodes' account may read it."""
    wanted: dict[str, set[str]] = {}
    sources: dict[str, str] = {}
    for image in artifacts.images_of(site.settings):
        if site.settings.mirrors.place_of(image.target) == place:
            wanted.setdefault(image.target, set()).update(image.architectures)
            sources[image.target] = image.source
    wrong: list[str] = []
    for target, architectures in wanted.items():
        try:
            found = site.cloud.image(target).architectures
        except CloudError as error:
            if error.trouble != "missing":
                raise
            wrong.append(target.removeprefix(f"{place}/"))
            continue
        if found and not architectures <= found:
            wrong.append(f"{target.removeprefix(f'{place}/')} for {', '.join(sorted(architectures - found))}")
    if wrong:
        more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        return failed(
            f"it lacks {len(wrong)} of {len(wanted)} images: {', '.join(wrong[:_LISTED])}{more}",
            f"copy them there, for all their architectures: python -m artifacts --stack {site.settings.environment} "
            "lists the sources",
        )
    return _readable(site, place) or passed(f"it has all {len(wanted)} images")


def _readable(site: Site, place: str) -> Outcome | None:
    """Whether the nodes' account may read a mirror in another project; in its own the program gives it the right."""
    repository, account = mirrors.repository(place), node_account(site)
    if repository is None or account is None or repository.project == site.settings.project:
        return None
    member = f"serviceAccount:{account}"
    readers = site.cloud.readers(repository.project, repository.location, repository.name)
    if readers & {member, *_EVERYBODY} or member in site.cloud.members(repository.project, mirrors.READER):
        return None
    finding = f"the account of the nodes, {account}, may not read it"
    command = repository.reading(account)
    if site.own_cluster() is None:
        # The account is made by the first up, and cannot be given a role before.
        return warned(f"{finding}: it is not created yet", f"as soon as it is there: {command}")
    return failed(finding, command)


def node_account(site: Site) -> str | None:
    """The account of the nodes that the program creates, given or its own; None if it creates no nodes."""
    settings = site.settings
    if not isinstance(settings.cluster, CreateCluster) and not settings.created_domains:
        return None
    if settings.identities.node_service_account is not None:
        return settings.identities.node_service_account
    cluster = settings.cluster.name
    name = naming.node_account(cluster if site.creates_cluster else naming.pools_in(cluster, settings.environment))
    # Of a domain's project, example.com:project, the domain is behind.
    project = ".".join(reversed(settings.project.split(":")))
    return f"{name}@{project}.iam.gserviceaccount.com"
