"""What is known of a release is said for every release that has it, for no other, and with what protects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference import chart_images, nats, vulnerabilities
from reference.dynamo import PROFILES
from reference.platform_parts import PlatformParts
from reference.vulnerabilities import Feature, Vulnerability
from serving_rules import exposure, layout, unsafe_settings
from serving_rules.layout import WORKER_ROLES, Overrides, RoleOverrides
from settings import parse
from settings.checks import vulnerabilities as said
from settings.checks import warnings
from tests.unit.configs import Config, put, shipped
from tools import vulnerabilities_reference

BULLETIN = {f"CVE-2026-{n}" for n in (24253, 24254, 24255, *range(47612, 47624))}


def _known(name: str) -> Vulnerability:
    (found,) = (one for one in vulnerabilities.KNOWN if one.id == name)
    return found


def _ids(version: str) -> set[str]:
    return {one.id for one in vulnerabilities.of({"Dynamo": version})}


@pytest.mark.parametrize(
    ("name", "affected", "clean"),
    [
        ("CVE-2026-33215", ("2.10.21", "2.11.14", "2.12.0", "2.12.5"), ("2.11.15", "2.12.6", "2.12.12", "2.14.3")),
        ("GHSA-q59r-vq66-pxc2", ("2.10.21", "2.11.18", "2.12.11", "2.14.2"), ("2.12.12", "2.14.3", "2.15.0")),
        ("CVE-2026-33249", ("2.11.0", "2.12.5"), ("2.10.21", "2.11.15")),
        ("CVE-2026-33343", ("3.5.18", "3.6.8", "3.4.41"), ("3.5.28", "3.6.9", "3.7.0")),
        ("CVE-2026-24177", ("v0.9.4", "0.12.17", "0.13.0-rc1"), ("0.13.0", "v0.13.4", "0.17.0")),
        ("CVE-2026-86793", ("0.5.4.post3", "0.5.9", "0.5.18"), ("0.5.19",)),
        ("CVE-2025-10164", ("0.5.3.post1",), ("0.5.4", "0.5.4.post3")),
        ("CVE-2026-15976", ("0.5.9", "0.5.15.post1"), ("0.5.4.post3", "0.5.16")),
        ("CVE-2026-93034", ("0.5.4.post3", "0.5.23", "99.0"), ()),
    ],
)
def test_a_release_is_affected_until_the_first_one_of_its_line_that_is_fixed(
    name: str, affected: tuple[str, ...], clean: tuple[str, ...]
) -> None:
    known = _known(name)
    assert {release for release in (*affected, *clean) if known.affects(release)} == set(affected)


def test_the_bulletin_of_august_concerns_0_7_and_1_0_whole_and_ends_with_1_3() -> None:
    assert {version for version in PROFILES if _ids(version) == BULLETIN} == {"0.7.0", "1.0.2"}
    assert {version for version in PROFILES if not _ids(version)} == {"1.5.1"}
    assert _ids("1.1.1") == BULLETIN - {"CVE-2026-24254", "CVE-2026-24253", "CVE-2026-24255", "CVE-2026-47612"}
    assert _ids("1.2.1") == {"CVE-2026-47620", "CVE-2026-47622"}
    assert _ids("1.3.0") == set()


def test_records_are_told_apart_and_ordered_by_score() -> None:
    names = [one.id for one in vulnerabilities.KNOWN]
    assert len(names) == len(set(names))
    scores = [one.score or 0 for one in vulnerabilities.of({"Dynamo": "0.7.0", "SGLang": "0.5.9"})]
    assert scores == sorted(scores, reverse=True)
    assert all(list(one.fixed) == sorted(one.fixed, key=vulnerabilities.Version) for one in vulnerabilities.KNOWN)


def test_releases_of_an_environment_are_those_of_its_profile_its_images_and_its_kai() -> None:
    old, new = PROFILES["0.7.0"], PROFILES["1.0.2"]
    [server] = [image.image for image in chart_images.of_platform(old) if image.image.startswith("nats:")]
    assert vulnerabilities.releases(old, kai="0.17.0") == {
        "SGLang": old.sglang,
        "Dynamo": "0.7.0",
        "NATS": server.removeprefix("nats:").partition("-")[0],
        "etcd": "3.5.18",
        "KAI": "0.17.0",
    }
    assert set(vulnerabilities.releases(new)) == {"SGLang", "Dynamo", "NATS"}
    assert set(vulnerabilities.releases(PROFILES["1.5.1"])) == {"SGLang", "Dynamo"}
    theirs = PlatformParts(nats="nats://nats.platform:4222", etcd="http://etcd.platform:2379")
    assert set(vulnerabilities.releases(old, theirs)) == {"SGLang", "Dynamo"}
    assert set(vulnerabilities.releases(old, None)) == {"SGLang", "Dynamo"}


def test_a_layout_uses_what_its_arguments_and_its_shape_switch_on() -> None:
    old, new = PROFILES["0.7.0"], PROFILES["1.0.2"]
    small, large = "deepseek-r1-fp8-1p1d", "deepseek-r1-fp8-10p8d"
    assert set(exposure.features(layout.resolve(small, old), old)) == set()
    assert set(exposure.features(layout.resolve(large, old), old)) == {Feature.NODES, Feature.DP_ATTENTION}
    more = {Feature.NODES, Feature.DP_ATTENTION, Feature.ENGINE_ROUTES}
    assert set(exposure.features(layout.resolve(large, new), new)) == more
    unset = Overrides(decode=RoleOverrides(environment={"SGLANG_USE_MESSAGE_QUEUE_BROADCASTER": None}))
    assert Feature.MESSAGE_QUEUE in exposure.features(layout.resolve(large, old, unset), old)
    assert set(exposure.features(layout.resolve(small, old, unset), old)) == set()
    images = Overrides(prefill=RoleOverrides(arguments={"enable-multimodal": True}))
    assert Feature.MULTIMODAL in exposure.features(layout.resolve(small, old, images), old)


def _concern(config: Config, environment: str = "prod") -> said.Concern:
    found = said.concern(parse(config, environment))
    assert found is not None
    return found


@pytest.mark.parametrize("version", PROFILES)
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_environment_of_ours_warns_once_with_the_page_and_the_bulletin_that_concerns_it(
    environment: str, version: str
) -> None:
    config = put(shipped(environment), "dynamo.version", version)
    if not PROFILES[version].deepep_in_image:
        put(config, "stacks[0].image", f"registry.example/sglang:{version}")
    [text] = [text for text in warnings(parse(config, environment)) if "CVE-" in text]
    # Three are named, the worst first.
    assert f"(Dynamo {version}, 8.2)" in text or "CVE-2026-86793 (SGLang" in text
    assert ("NVIDIA's bulletin 5842 of 2026-08-04" in text) is bool(_ids(version))
    assert "docs/reference/vulnerabilities.md" in text
    assert len(text.splitlines()) == 3


def test_the_worst_are_named_and_what_needs_more_than_is_in_use_is_not_counted() -> None:
    small = _concern(shipped("dev"), "dev")
    assert "CVE-2026-93034" not in small.finding
    assert "SGLang none yet" in small.fix
    large = _concern(shipped("prod"))
    assert "CVE-2026-93034 (SGLang 0.5.4.post3, 9.8)" in large.finding
    # The sockets and the store of a role that spans nodes.
    assert int(large.finding.split()[0]) == int(small.finding.split()[0]) + 2
    assert "CVE-2026-24254" not in large.finding


def test_without_isolation_the_warning_says_that_nothing_protects() -> None:
    closed, open_to_all = _concern(shipped("prod")), _concern(put(shipped("prod"), "isolation", {"ingress": False}))
    assert open_to_all.finding == closed.finding
    assert "NATS" not in closed.fix
    count = closed.finding.split()[0]
    assert f"every pod of the cluster can exploit {count} of them" in open_to_all.protection
    assert open_to_all.protection.startswith("nothing; isolation.ingress is false")
    assert "set isolation.ingress: true" in open_to_all.fix
    assert "isolation.ingress restricts" in closed.protection


def test_an_environment_without_a_known_vulnerability_warns_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = tuple(replace(one, fixed=("0.0.1",)) for one in vulnerabilities.KNOWN)
    monkeypatch.setattr(vulnerabilities, "KNOWN", fixed)
    found = parse(shipped("prod"), "prod")
    assert said.concern(found) is None
    assert said.warning(found) is None
    assert [text for text in warnings(found) if "vulnerabilit" in text] == []


def test_what_a_platform_of_others_runs_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats, "TAG", "2.10.21-alpine")
    assert "NATS 2.1" in _concern(shipped("dev"), "dev").fix
    theirs = _concern(put(put(shipped("dev"), "dynamo.mode", "adopt"), "kai", {"mode": "adopt"}), "dev")
    assert "NATS" not in theirs.finding + theirs.fix


def test_every_feature_is_needed_by_some_vulnerability_and_every_refusal_names_what_it_opens() -> None:
    assert {one.needs for one in vulnerabilities.KNOWN} - {None} == set(Feature)
    named = " ".join((*unsafe_settings.ARGUMENTS.values(), *(each.risk for each in unsafe_settings.VARIABLES.values())))
    for one in ("CVE-2026-7304", "CVE-2026-3060", "CVE-2026-15971", "CVE-2026-47620", "SGLang issue 24618"):
        assert _known(one).id in named


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SGLANG_USE_MESSAGE_QUEUE_BROADCASTER", "0"),
        ("SGLANG_USE_MESSAGE_QUEUE_BROADCASTER", "False"),
        ("DUMPER_SERVER_PORT", "-1"),
        ("DYN_LORA_ENABLED", "false"),
        ("DYN_SGLANG_ENGINE_ROUTES", ""),
        ("DYN_TCP_TLS_INSECURE", "0"),
        ("SGLANG_USE_PICKLE_IPC", "1"),
        ("DYN_REQUEST_PLANE", "tcp"),
    ],
)
def test_a_value_that_opens_nothing_is_not_refused(name: str, value: str) -> None:
    assert unsafe_settings.of_variable(name, value) is None


def test_what_the_layouts_that_ship_set_is_not_refused() -> None:
    for name in layout.available():
        chosen = layout.load(name)
        for role in WORKER_ROLES:
            assert [one for one in chosen.arguments(role) if unsafe_settings.of_argument(one)] == []
            assert [
                key for key, value in chosen.environment(role).items() if unsafe_settings.of_variable(key, value)
            ] == []


def test_the_page_is_current() -> None:
    page = vulnerabilities_reference.page()
    assert vulnerabilities_reference.DOCUMENT.read_text(encoding="utf-8") == page, "run: make generated"
    for one in vulnerabilities.KNOWN:
        assert page.count(f"\n| {one.id} |") == 1
