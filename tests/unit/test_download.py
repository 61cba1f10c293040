"""The Job that fetches a model: what it runs, what it may do, and how long it goes on."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.platform import model_download
from tests.conftest import recorded
from tests.recorder import SECRETS, Recording, Resource

MODEL = "deepseek-ai/DeepSeek-R1"


def _job(recording: Recording) -> Resource:
    return next(r for r in recording.of_type("Job") if r.name.startswith("download-"))


def _container(recording: Recording) -> Any:
    (container,) = _job(recording).inputs["spec"]["template"]["spec"]["containers"]
    return container


def test_a_download_outlives_a_hub_that_answers_429_and_has_time_for_700_gb(prod: Recording) -> None:
    job = _job(prod)
    # Not 0: the pod is started again where it stopped.
    assert job.inputs["spec"]["backoffLimit"] == 10
    assert job.inputs["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"
    hours = re.fullmatch(r"([0-9]+)h", (job.custom_timeouts or {})["create"])
    assert hours
    assert int(hours[1]) >= 6


def test_a_model_lands_below_its_own_name_in_the_bucket_that_pods_mount(prod: Recording) -> None:
    pod = _job(prod).inputs["spec"]["template"]
    assert pod["metadata"]["annotations"]["gke-gcsfuse/volumes"] == "true"
    (volume,) = [volume for volume in pod["spec"]["volumes"] if "csi" in volume]
    assert volume["csi"]["volumeAttributes"]["bucketName"] == prod.find("Bucket").inputs["name"]
    mounts = {mount["name"]: mount["mountPath"] for mount in _container(prod)["volumeMounts"]}
    environment = {entry["name"]: entry.get("value") for entry in _container(prod)["env"]}
    assert environment["TARGET"] == f"{mounts[volume['name']]}/{MODEL}"
    assert environment["MODEL"] == MODEL


def test_a_download_has_the_token_from_its_secret(prod: Recording) -> None:
    (token,) = [entry for entry in _container(prod)["env"] if entry["name"] == "HF_TOKEN"]
    named = token["valueFrom"]["secretKeyRef"]
    namespace = _job(prod).inputs["metadata"]["namespace"]
    (secret,) = [
        r.inputs
        for r in prod.of_type("Secret")
        if (r.inputs["metadata"]["namespace"], r.inputs["metadata"]["name"]) == (namespace, named["name"])
    ]
    assert secret["stringData"] == {named["key"]: SECRETS["hfToken"]}


@pytest.mark.parametrize("tool", ["pip", "hf"])
def test_a_download_that_fails_is_no_download(tool: str, tmp_path: Path) -> None:
    """The script, with tools of which one fails."""
    (tmp_path / "bin").mkdir()
    for name in ("pip", "hf"):
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\nexit {int(name == tool)}\n", encoding="utf-8")
        file.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONUSERBASE": str(tmp_path),
        "MODEL": MODEL,
        "TARGET": "/t",
        "HUB_VERSION": "1",
    }
    command = ["/bin/sh", "-c", model_download.SCRIPT]
    assert subprocess.run(command, env=environment, check=False).returncode == 1  # noqa: S603 - our own script


def test_a_download_is_made_where_the_settings_ask_for_one() -> None:
    assert not [r for r in recorded("dev").of_type("Job") if r.name.startswith("download-")]
