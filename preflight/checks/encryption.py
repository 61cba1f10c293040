"""Customer-managed keys: each exists, is usable, and Google's agent may use it."""

from __future__ import annotations

from typing import Final

from preflight.cloud import CloudError
from preflight.results import Outcome, failed, passed
from preflight.site import Site
from reference import encryption, iam
from reference.encryption import ROLE, Key, Use

WIDER: Final = ("roles/cloudkms.cryptoOperator", "roles/owner")
"""Roles that include all of `encryption.ROLE`."""
GRANT: Final = "cloudkms.cryptoKeys.setIamPolicy"


def key(site: Site, use: Use) -> Outcome:
    """The key exists and encrypts, and the agent that uses it has the role, or will get it."""
    path = site.settings.encryption.keys[use]
    parsed = encryption.parse(path)
    try:
        found = site.cloud.key(path)
    except CloudError as error:
        if error.trouble != "missing":
            raise
        listing = f"gcloud kms keys list --keyring {parsed.ring}"
        return failed(f"there is no key {path}", f"correct encryption.{use}: {listing}")
    if found.purpose != "ENCRYPT_DECRYPT":
        fix = f"name a key of purpose encryption in encryption.{use}"
        return failed(f"{path} is made for {found.purpose}, not for encryption", fix)
    if found.state != "ENABLED":
        fix = f"enable a version, or choose another key: gcloud kms keys versions list --key {path}"
        return failed(f"the primary version of {path} is {found.state or 'missing'}", fix)
    return _agent(site, use, parsed)


def _agent(site: Site, use: Use, key: Key) -> Outcome:
    """The agent that uses a key has the role, or the program can give it."""
    member = f"serviceAccount:{encryption.agent(use, site.project().number)}"
    for role in (ROLE, *WIDER):
        if member in _members(site, key, role):
            return passed(f"enabled, and {member} has {role}")
    give = iam.command("key", key.path, ROLE, member)
    if not site.settings.encryption.grant:
        return failed(f"{member} has no {ROLE} in the policies of {key.path}, its key ring and its project", give)
    if GRANT in site.cloud.granted_on_key(key.path, [GRANT]):
        return passed(f"enabled, and the program gives {member} its role (encryption.grant)")
    return failed(
        f"encryption.grant gives {member} its role on {key.path}, and you lack {GRANT} there",
        f"have roles/cloudkms.admin on the key, or remove encryption.grant and have the role given: {give}",
    )


def _members(site: Site, parsed: Key, role: str) -> frozenset[str]:
    """Members of a role on a key: its own, its key ring's and its project's, as far as they may be read."""
    found = site.cloud.key_members(parsed.path, role) | site.cloud.key_members(parsed.ring, role)
    try:
        return found | site.cloud.members(parsed.project, role)
    except CloudError as error:
        # The key's project is somebody else's.
        if error.trouble != "denied":
            raise
        return found
