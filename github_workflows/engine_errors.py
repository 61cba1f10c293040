"""What stops the engine before it runs the program, by its messages, each with cause and fix.

`seen` messages are printed by Pulumi 3.259.0 in `tests/engine/test_preview_errors.py`, those about Google in
answer to a stand-in for it. `read` ones come from the sources of the engine and of gocloud.dev, or from a manual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

HOW_TO: Final = "docs/how-to/work-as-a-team.md"


@dataclass(frozen=True)
class Known:
    """A message of the engine."""

    pattern: re.Pattern[str]
    cause: str
    fix: str
    origin: Literal["seen", "read"]


def _known(pattern: str, cause: str, fix: str, origin: Literal["seen", "read"]) -> Known:
    return Known(re.compile(pattern), cause, fix, origin)


KNOWN: Final[Mapping[str, Known]] = {
    "no state bucket": _known(
        r"PULUMI_ACCESS_TOKEN must be set for login",
        "no state bucket is named, so the engine asks for a Pulumi Cloud account",
        "set the repository variable PULUMI_BACKEND_URL to gs://BUCKET (an output of bootstrap/)",
        "seen",
    ),
    "no impersonation": _known(
        r"iam\.serviceAccounts\.getAccessToken",
        "the workflow may not act as its service account",
        "the account must grant roles/iam.workloadIdentityUser to the identity pool's principals of this repository "
        "and environment: run `pulumi up` in bootstrap/",
        "seen",
    ),
    "no federation": _known(
        r"oauth2/google: .*(?:invalid_target|invalid_grant|unauthorized_client)",
        "Google does not accept the workflow's token: the identity provider does not exist, or its condition excludes "
        "this repository",
        "compare the repository variable WORKLOAD_IDENTITY_PROVIDER with the outputs of bootstrap/",
        "seen",
    ),
    "no credentials": _known(
        r"missing google credentials|could not find default credentials",
        "there are no Google credentials",
        "in a workflow: the job needs `id-token: write` and the step google-github-actions/auth before this one; a "
        "pull request from a fork has neither, by design. On a laptop: `gcloud auth application-default login`",
        "seen",
    ),
    "no such bucket": _known(
        r"bucket doesn't exist|The specified bucket does not exist",
        "the state bucket does not exist",
        "compare the repository variable PULUMI_BACKEND_URL with the outputs of bootstrap/",
        "seen",
    ),
    "bucket is closed": _known(
        r"(?:could not list bucket|meta\.yaml).*(?:Error 403|code 403|code=PermissionDenied)",
        "the identity may not read the state bucket",
        "it needs roles/storage.objectViewer on the bucket, and to write, roles/storage.objectUser: run `pulumi up` in "
        "bootstrap/",
        "seen",
    ),
    "credentials are refused": _known(
        r"(?:could not list bucket|meta\.yaml).*(?:Error 401|code 401|code=Unauthenticated)",
        "Google refuses the credentials; they may have expired",
        "run the job again; on a laptop: `gcloud auth application-default login`",
        "seen",
    ),
    "no such state": _known(
        r"unable to open (?:state directory|bucket)",
        "the place of the state does not exist",
        "compare PULUMI_BACKEND_URL with the outputs of bootstrap/",
        "seen",
    ),
    "no such stack": _known(
        r"no stack named '[^']*' found",
        "the state bucket has no such stack",
        "`pulumi stack init STACK --secrets-provider gcpkms://...` once, or correct PULUMI_BACKEND_URL",
        "seen",
    ),
    "key is closed": _known(
        r"cloudkms\.|secrets \(code=PermissionDenied\)",
        "the identity may not use the key that encrypts the stack's secrets",
        "it needs roles/cloudkms.cryptoKeyDecrypter on the key that Pulumi.STACK.yaml names as `secretsprovider`: run "
        "`pulumi up` in bootstrap/",
        "read",
    ),
    "no such key": _known(
        r"secrets \(code=(?:NotFound|InvalidArgument)\)",
        "the stack's secrets cannot be decrypted with the key that Pulumi.STACK.yaml names as `secretsprovider`: it "
        "does not exist, or has not encrypted them",
        "correct `secretsprovider` and `encryptedkey`, or `pulumi stack change-secrets-provider gcpkms://...`",
        "read",
    ),
    "passphrase": _known(
        r"passphrase must be set|incorrect passphrase",
        "the stack's secrets are encrypted with a passphrase, which the workflows do not have",
        "`pulumi stack change-secrets-provider gcpkms://...` with the key of bootstrap/, then commit the stack file",
        "seen",
    ),
    "no language host": _known(
        r"no language plugin 'pulumi-language-python'",
        "this Pulumi has no host for Python programs",
        "install a whole release (https://www.pulumi.com/docs/install/); the engine of `make rehearse` is only a part",
        "seen",
    ),
}


def explained(output: str) -> str | None:
    """Cause and fix, if an error line of the engine is known."""
    errors = "\n".join(re.findall(r"^\s*error: .*$", output, re.MULTILINE))
    for known in KNOWN.values():
        if known.pattern.search(errors):
            return f"{known.cause}. Fix: {known.fix}. See {HOW_TO}."
    return None
