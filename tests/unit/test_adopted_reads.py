"""What a failed reading of something that is adopted means for the config, from the answer's own words."""

from __future__ import annotations

import pytest

from components.gcp import adopted_reads

SUBJECT = adopted_reads.ReadTarget(
    "cluster.name", "a4x", "GKE cluster in us-central1 of project p", "p", "gcloud container clusters list", "container"
)


@pytest.mark.parametrize(
    ("answer", "rule", "fix"),
    [
        ("dial tcp: lookup container.googleapis.com: no such host", "was not reached", "HTTPS_PROXY"),
        (
            "could not find default credentials: dial tcp 169.254.169.254:80: i/o timeout",
            "not accept the credentials",
            "Log in",
        ),
        ("oauth2: invalid_grant", "not accept the credentials", "gcloud auth application-default login"),
        ("Error 403: SERVICE_DISABLED container.googleapis.com", "API container.googleapis.com is off", "enable"),
        ("Error 403: Required container.clusters.get", "lacks container.clusters.get", "roles/container.admin"),
        ("Error 403: Required compute.instanceGroupManagers.list", "lacks compute", "roles/compute.viewer"),
        ("Error 404: Not found", "there is no such GKE cluster", "gcloud container clusters list"),
        ("Error 500: backend", "cannot be read: Error 500: backend", "python -m preflight"),
    ],
)
def test_each_answer_has_its_meaning(answer: str, rule: str, fix: str) -> None:
    found = adopted_reads.problem(SUBJECT, answer)
    assert (found.key, found.value) == ("cluster.name", "a4x")
    assert rule in found.rule
    assert fix in found.fix
