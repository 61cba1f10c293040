"""Role bindings: made here, or listed for whoever may make them."""

from __future__ import annotations

from typing import Any, TypedDict

import pulumi
import pulumi_gcp as gcp

from reference import iam


class Binding(TypedDict):
    """One member of one role on one resource. Bindings are additive: other members of the role stay."""

    on: iam.On
    """What the role is given on."""
    target: pulumi.Input[str]
    """Id of the project, name of the bucket, or path of the service account or key."""
    role: str
    """The role, such as roles/storage.objectViewer."""
    member: pulumi.Input[str]
    """Who gets it, with the kind in front: serviceAccount:EMAIL, principal://..."""


class Grants:
    """Where every role of the program's identities is given.

    With `written` off no IAM resource is registered: `commands` has what would have been made.
    """

    def __init__(self, *, written: bool) -> None:
        self.written = written
        self._commands: list[pulumi.Output[str]] = []

    @property
    def commands(self) -> pulumi.Output[list[str]]:
        """Commands that make the bindings which are not made here; none if they are."""
        return pulumi.Output.all(*self._commands)

    def give(self, name: str, binding: Binding, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Make or list a binding; returns its role, once it is given."""
        if not self.written:
            self.expect(binding)
            return pulumi.Output.from_input(binding["role"])
        target, role, member = binding["target"], binding["role"], binding["member"]
        opts = pulumi.ResourceOptions(parent=parent)
        match binding["on"]:
            case "project":
                return gcp.projects.IAMMember(name, project=target, role=role, member=member, opts=opts).role
            case "bucket":
                return gcp.storage.BucketIAMMember(name, bucket=target, role=role, member=member, opts=opts).role
            case "service account":
                return gcp.serviceaccount.IAMMember(
                    name, service_account_id=target, role=role, member=member, opts=opts
                ).role
            case "key":
                return gcp.kms.CryptoKeyIAMMember(name, crypto_key_id=target, role=role, member=member, opts=opts).role

    def expect(self, binding: Binding) -> None:
        """List a binding that is never made here: where the program makes others, preflight looks for this one."""
        if self.written:
            return

        def command(values: list[Any]) -> str:
            target, member = values
            short = target.rpartition("/")[2] if binding["on"] == "service account" else target
            return iam.command(binding["on"], short, binding["role"], member)

        self._commands.append(pulumi.Output.all(binding["target"], binding["member"]).apply(command))
