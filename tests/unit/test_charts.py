"""Where charts come from: each publisher's own repository, or one mirror for every release of the program."""

from __future__ import annotations

import pytest

from reference import charts
from reference.dynamo import CHARTS
from tests.recorder import SECRETS, Recording, run_program


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://charts.example/mirror", "https://charts.example/mirror/kai-scheduler-v0.17.0.tgz"),
        ("https://charts.example/mirror/", "https://charts.example/mirror/kai-scheduler-v0.17.0.tgz"),
        ("/srv/charts", "/srv/charts/kai-scheduler-v0.17.0.tgz"),
        ("./charts", "./charts/kai-scheduler-v0.17.0.tgz"),
        ("oci://registry.example:5000/charts/", "oci://registry.example:5000/charts/kai-scheduler"),
    ],
)
def test_an_archive_has_its_version_in_its_name_and_a_registry_has_it_as_a_tag(source: str, expected: str) -> None:
    charts.check_source(source)
    assert charts.address(source, "kai-scheduler", "v0.17.0") == expected


def _releases(recording: Recording) -> dict[str, tuple[str, str]]:
    return {r.inputs["name"]: (r.inputs["chart"], r.inputs["version"]) for r in recording.of_type("Release")}


@pytest.mark.parametrize("stack", ["dev", "prod"])
@pytest.mark.parametrize("version", ["0.7.0", "1.0.2"])
@pytest.mark.parametrize("source", ["https://mirror.example/charts", "oci://mirror.example/charts", "./charts"])
def test_every_chart_of_the_program_comes_from_the_mirror(stack: str, version: str, source: str) -> None:
    dynamo = {"mode": "create", "version": version, "chartSource": source}
    releases = _releases(run_program(stack, config={"dynamo": dynamo}))
    assert releases
    for name, (chart, tag) in releases.items():
        ending = name if source.startswith("oci://") else f"{name}-{tag}.tgz"
        assert chart == f"{source}/{ending}"


def test_the_publishers_own_address_is_no_mirror_of_other_charts() -> None:
    default = run_program("dev", config={"dynamo": {"mode": "create"}})
    named = run_program("dev", config={"dynamo": {"mode": "create", "chartSource": f"{CHARTS}/"}})
    assert _releases(named) == _releases(default)
    hosts = {chart.split("/")[2] for chart, _ in _releases(default).values()}
    assert hosts <= {"helm.ngc.nvidia.com", "ghcr.io"}


def test_a_login_reaches_every_chart_of_nvidia_and_stays_secret() -> None:
    run = run_program("dev", config={"dynamo": {"mode": "create", "chartLogin": True}})
    for release in run.of_type("Release"):
        # KAI's own registry is another publisher's.
        assert bool(release.inputs.get("repositoryOpts")) is ("nvidia.com" in release.inputs["chart"]), str(release)
        if release.inputs.get("repositoryOpts"):
            assert release.inputs["repositoryOpts"]["password"] == SECRETS["ngcApiKey"]
            assert any(path.startswith("repositoryOpts") for path in release.secrets)
    anonymous = run_program("dev", config={"dynamo": {"mode": "create"}})
    assert not any(r.inputs.get("repositoryOpts") for r in anonymous.of_type("Release"))
