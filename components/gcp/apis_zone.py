"""A private DNS zone by which the names of Google's APIs lead to private.googleapis.com."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.joined_outputs import once
from reference import egress, firewall

_TTL = 300


class ApisZoneArgs(TypedDict):
    """Inputs of an `ApisZone`."""

    project: pulumi.Input[str]
    """Id of the project."""
    cluster: str
    """Name of the cluster, the beginning of the zone's."""
    network: pulumi.Input[str]
    """URL of the VPC that the zone is for."""


class ApisZone(pulumi.ComponentResource):
    """The zone and its two records, as Google's guide to Private Google Access has them."""

    range: pulumi.Output[str]
    """The range of addresses that the names lead to, known once they do."""

    def __init__(self, name: str, args: ApisZoneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:ApisZone", name, {}, opts)
        zone = gcp.dns.ManagedZone(
            f"{name}-zone",
            project=args["project"],
            name=f"{args['cluster']}-googleapis",
            description=f"Google's APIs by private addresses, for GKE cluster {args['cluster']}",
            dns_name=egress.ZONE,
            visibility="private",
            private_visibility_config={"networks": [{"network_url": args["network"]}]},
            opts=pulumi.ResourceOptions(parent=self),
        )
        records = (
            ("addresses", egress.VIRTUAL_HOST, "A", egress.PRIVATE_APIS),
            ("names", f"*.{egress.ZONE}", "CNAME", (egress.VIRTUAL_HOST,)),
        )
        made = [
            gcp.dns.RecordSet(
                f"{name}-{which}",
                project=args["project"],
                managed_zone=zone.name,
                name=host,
                type=kind,
                ttl=_TTL,
                rrdatas=list(values),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for which, host, kind, values in records
        ]
        self.range = once(pulumi.Output.from_input(firewall.GOOGLE_APIS), *[record.name for record in made])
        self.register_outputs({"range": self.range})
