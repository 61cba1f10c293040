"""How frontends and downloads reach the outside, from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reference import addresses, outbound
from settings import Settings


def frontend_variables(settings: Settings) -> Mapping[str, str]:
    """Variables of a frontend that asks the hub for a tokenizer."""
    return _variables(settings, pip=False)


def download_variables(settings: Settings) -> Mapping[str, str]:
    """Variables of a download, which installs its client first."""
    return _variables(settings, pip=True)


def _variables(settings: Settings, *, pip: bool) -> Mapping[str, str]:
    pods = settings.pods
    return outbound.environment(
        proxy=None if pods.proxy is None else pods.proxy.url,
        direct=[*(() if pods.proxy is None else pods.proxy.no_proxy), *_own_ranges(settings)],
        hub=pods.hub_endpoint,
        pip_index=pods.pip_index if pip else None,
        certificates=pods.ca_bundle is not None,
    )


def _own_ranges(settings: Settings) -> Iterator[str]:
    """Ranges of nodes, pods, services and control plane, where the program chooses them."""
    network = settings.created_network
    if network is not None:
        plan = addresses.plan(network.address_range, settings.a4x_nodes)
        yield from (plan.nodes, plan.pods, plan.services, plan.control_plane)
