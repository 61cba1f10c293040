"""The bootstrap program in the real engine: its life, and what Google Cloud does not let it undo."""

from __future__ import annotations

import pytest
from pulumi.automation import CommandError

from rehearsal.run import ROOT, Rehearsal, RehearsalError
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

KEY = "dynamo-a4x-bootstrap:"
LEFT = {"gcp:kms/keyRing:KeyRing", "gcp:kms/cryptoKey:CryptoKey"}


def test_the_bootstrap_is_made_kept_and_made_again() -> None:
    with Rehearsal("team", root=ROOT / "bootstrap") as rehearsal:
        rehearsal.up()
        rehearsal.up_without_change()

        existing = rehearsal.state.snapshot()
        with pytest.raises(CommandError, match="because it is protected"):
            # As the command line destroys: the preview before it finds what is protected.
            rehearsal.cli(["destroy", "--yes"])
        assert rehearsal.state.snapshot() == existing

        rehearsal.set_config({f"{KEY}protect": False})
        rehearsal.up()
        rehearsal.destroy()
        # The key outlives the stack: without it no old version of any state could be decrypted.
        assert {resource.kind for resource in rehearsal.state.leftovers()} == LEFT
        [key] = rehearsal.state.find("gcp:kms/cryptoKey:CryptoKey")
        assert [version["state"] for version in key.outputs["primaries"]] == ["ENABLED"]

        # Each of the two fixes of the reference page alone leaves the other name taken.
        rehearsal.set_config({f"{KEY}identityPool": "github-2"})
        with pytest.raises(RehearsalError, match=r"KeyRing .*409"):
            rehearsal.up()
        rehearsal.set_config({f"{KEY}identityPool": None, f"{KEY}adoptKey": True})
        with pytest.raises(RehearsalError, match=r"WorkloadIdentityPool .*409"):
            rehearsal.up()
        rehearsal.set_config({f"{KEY}identityPool": "github-2"})
        rehearsal.up()
        rehearsal.up_without_change()
        assert key in rehearsal.state.find("gcp:kms/cryptoKey:CryptoKey")


def test_a_key_that_is_not_there_cannot_be_adopted() -> None:
    config = {f"{KEY}adoptKey": True}
    with (
        Rehearsal("team", root=ROOT / "bootstrap", config=config) as rehearsal,
        pytest.raises(RehearsalError, match=r"KeyRing"),
    ):
        rehearsal.preview()


def test_a_wrong_config_ends_in_one_message_before_a_resource_is_registered() -> None:
    config = {f"{KEY}github": {"repository": "dynamo-a4x", "repositoryId": "1", "ownerId": "me"}}
    with Rehearsal("team", root=ROOT / "bootstrap", config=config) as rehearsal:
        with pytest.raises(RehearsalError, match=r"2 problems in the config of stack 'team'; no resource was regist"):
            rehearsal.preview()
        assert not rehearsal.state.leftovers()
