"""The login of NATS: generated with the platform, given by the config for one of others, and in every stack's pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reference import dynamo, nats
from tests import graphs
from tests.recorder import SECRETS, ProgramFailedError, Recording, run_program

ADOPT: dict[str, Any] = {"kai": {"mode": "adopt"}, "draDriver": {"mode": "adopt"}}
PLATFORM: dict[str, Any] = {"mode": "create", "version": "0.7.0"}
ADDRESS = {"mode": "adopt", "address": "nats://nats.messaging.svc:4222"}
GIVEN = {**SECRETS, "natsPassword": 'with "signs" 0003'}


def built(secrets: Any = None, *, more: Any = None, **changes: Any) -> Recording:
    return run_program("dev", config={**(more or {}), "dynamo": {**PLATFORM, **changes}}, secrets=secrets)


def logins(recording: Recording) -> dict[str, dict[str, str]]:
    """The Secrets with a login, by namespace."""
    return {
        secret.inputs["metadata"]["namespace"]: {
            "name": secret.inputs["metadata"]["name"],
            **secret.inputs["stringData"],
        }
        for secret in recording.of_type("Secret")
        if secret.inputs.get("type") == "kubernetes.io/basic-auth"
    }


def variables(recording: Recording) -> dict[str, dict[str, Any]]:
    """What the pods of each role have of NATS, by variable."""
    return {
        component.name: {
            entry["name"]: entry["valueFrom"]["secretKeyRef"]
            for entry in component.main.get("env", [])
            if entry["name"].startswith("NATS_")
        }
        for component in graphs.recorded(recording).values()
    }


def server(recording: Recording) -> Any:
    return recording.find(name="dynamo-release").inputs["values"]["nats"]


@pytest.mark.parametrize("version", [one.version for one in dynamo.PROFILES.values() if one.needs_nats])
def test_server_and_pods_have_one_password_and_each_takes_it_from_its_own_namespace(version: str) -> None:
    recording = built(version=version)
    theirs = logins(recording)
    assert set(theirs) == {"dynamo-cloud", "r1-1p1d"}
    (login,) = {(secret["username"], secret["password"]) for secret in theirs.values()}
    assert login[0] == nats.USER
    (reference,) = [entry["valueFrom"]["secretKeyRef"] for entry in server(recording)["container"]["env"].values()]
    assert reference == {"name": theirs["dynamo-cloud"]["name"], "key": "password"}
    mine = theirs["r1-1p1d"]["name"]
    expected = {
        "NATS_AUTH_USERNAME": {"name": mine, "key": "username"},
        "NATS_AUTH_PASSWORD": {"name": mine, "key": "password"},
    }
    assert variables(recording) == dict.fromkeys(("Frontend", "Prefill", "Decode"), expected)
    assert server(recording)["config"]["merge"]["authorization"] == {
        "user": nats.USER,
        "password": f"<< ${next(iter(server(recording)['container']['env']))} >>",
    }
    assert server(recording)["container"]["image"] == {"tag": nats.TAG}


def test_the_password_is_letters_alone_and_secret_wherever_it_is() -> None:
    recording = built()
    (generated,) = recording.of_type("random:index/randomPassword:RandomPassword")
    assert generated.inputs == {"length": nats.PASSWORD_LENGTH, "numeric": False, "special": False}
    password = logins(recording)["r1-1p1d"]["password"]
    assert recording.in_clear(password) == []
    assert recording.outputs["natsLogin"] == {"user": nats.USER, "password": password}
    assert "natsLogin" in recording.secret_outputs


def test_another_password_gives_the_secrets_other_names() -> None:
    """So that NATS and all pods start anew with it; until then the old Secret stays."""
    recording = built()
    for prefix in ("dynamo", "r1-1p1d"):
        revision = recording.find(name=f"{prefix}-nats-revision")
        secret = recording.find(name=f"{prefix}-nats-secret")
        assert revision.inputs["keepers"]["password"] == secret.inputs["stringData"]["password"]
        assert recording.depends_on_transitively(secret, revision)
        assert secret.delete_before_replace is False


def test_nats_without_a_login_has_none_anywhere_and_the_safe_release_all_the_same() -> None:
    recording = built(nats={"login": "none"})
    assert logins(recording) == {}
    assert set(map(len, variables(recording).values())) == {0}
    assert "config" not in server(recording)
    assert server(recording)["container"] == {"image": {"tag": nats.TAG}}
    assert "natsLogin" not in recording.outputs
    assert recording.of_type("random:index/randomPassword:RandomPassword") == []


def test_pods_may_have_the_login_before_nats_asks_for_it() -> None:
    """So that every environment of the platform can have it first."""
    recording = built(nats={"login": "offered"})
    assert set(logins(recording)) == {"r1-1p1d"}
    assert set(map(len, variables(recording).values())) == {2}
    assert recording.outputs["natsLogin"]["password"] == logins(recording)["r1-1p1d"]["password"]
    assert "config" not in server(recording)


def test_a_release_whose_client_was_not_seen_to_log_in_gets_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    unseen = replace(dynamo.PROFILES["0.7.0"], nats_login=False)
    monkeypatch.setitem(dynamo.PROFILES, "0.7.0", unseen)
    assert logins(built()) == {}


@pytest.mark.parametrize("nats_of", [{"mode": "adopt"}, {"nats": ADDRESS}], ids=["a platform", "a NATS"])
def test_pods_log_in_to_what_others_run_with_what_the_config_says(nats_of: dict[str, Any]) -> None:
    more = ADOPT if "mode" in nats_of else None
    recording = built(GIVEN, more=more, natsUser="bob", **nats_of)
    assert {space: (one["username"], one["password"]) for space, one in logins(recording).items()} == {
        "r1-1p1d": ("bob", GIVEN["natsPassword"])
    }
    assert set(map(len, variables(recording).values())) == {2}
    assert recording.in_clear(GIVEN["natsPassword"]) == []
    # Whoever adopts this environment's platform needs it too.
    assert ("natsLogin" in recording.outputs) == ("nats" in nats_of)
    without = built(more=more, **nats_of)
    assert logins(without) == {}
    assert set(map(len, variables(without).values())) == {0}


def test_a_user_without_a_password_stops_an_up_and_not_a_preview() -> None:
    adopt: dict[str, Any] = {**ADOPT, "dynamo": {"mode": "adopt", "version": "0.7.0", "natsUser": "bob"}}
    with pytest.raises(ProgramFailedError, match="pulumi config set --secret natsPassword"):
        run_program("dev", config=adopt)
    assert logins(run_program("dev", preview=True, config=adopt))


def test_a_password_that_nobody_uses_is_mentioned() -> None:
    said = [text for _, text in built(GIVEN).logs if "natsPassword" in text]
    assert said == ["natsPassword is set and not used: dynamo.natsUser says who logs in with it."]
    assert [text for _, text in built().logs if "natsPassword" in text] == []
