"""A program that registers the cases of the policy pack, and a cloud that previews whatever it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi.provider.experimental import provider as sdk
from typing_extensions import override

from rehearsal.simulator import EmbeddedCloud
from tests import policy_cases
from tests.policy_cases import PROVIDERS, Example


def register(numbers: Sequence[int]) -> None:
    """Register the good and the bad resource of each of these cases, named after it."""
    chosen = [policy_cases.cases()[number] for number in numbers]
    used = {"cluster", *(case.provider for case in chosen)}
    providers = {
        name: kubernetes.Provider(name, kubeconfig=f"made up for {name}", cluster_identifier=cluster)
        for name, cluster in PROVIDERS.items()
        if name in used
    }
    made: list[pulumi.Resource] = [
        pulumi.CustomResource(one.type, one.name, one.inputs, pulumi.ResourceOptions(provider=providers["cluster"]))
        for one in policy_cases.namespaces()
    ]
    for case in chosen:
        good = _register(case.example("good"), providers, made)
        # What compares resources blames the later one.
        _register(case.example("bad"), providers, [*made, good])


def _register(
    example: Example, providers: dict[str, kubernetes.Provider], after: Sequence[pulumi.Resource]
) -> pulumi.Resource:
    inputs = {
        key: pulumi.Output.secret(value) if key in example.secrets else value for key, value in example.inputs.items()
    }
    options = pulumi.ResourceOptions(
        protect=example.protect, provider=providers.get(example.provider), depends_on=after
    )
    return pulumi.CustomResource(example.type, example.name, inputs, options)


class AcceptingCloud(EmbeddedCloud):
    """Has no rules, so that the pack alone judges."""

    @override
    async def check_config(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        return sdk.CheckResponse(inputs=request.new_inputs)

    @override
    async def configure(self, request: sdk.ConfigureRequest) -> sdk.ConfigureResponse:
        del request
        return sdk.ConfigureResponse(
            accept_secrets=False, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    @override
    async def check(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        return sdk.CheckResponse(inputs=request.new_inputs)

    @override
    async def create(self, request: sdk.CreateRequest) -> sdk.CreateResponse:
        return sdk.CreateResponse(None, request.properties)
