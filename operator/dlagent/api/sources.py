"""Where a model lies: the URIs that are understood, their digests, their credentials."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dlagent.api.base import ApiModel, DnsSubdomain, Rule, checked

PICKLE_SUFFIXES = "pt|pth|bin|pkl|pickle|ckpt"


class Scheme(StrEnum):
    """The part of a URI before `://`."""

    PVC = "pvc"
    HTTPS = "https"
    S3 = "s3"
    GS = "gs"
    AZ = "az"
    HF = "hf"
    OCI = "oci"


# Whoever runs such a server may send another file at any time, and no version says so.
_DIGEST_NEEDED = f"^({Scheme.HTTPS}|{Scheme.HF}|{Scheme.OCI})://"

_FORMS = {
    Scheme.PVC: (
        "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[^/](.*[^/])?",
        "must be pvc://CLAIM/PATH, such as pvc://models/shoes.onnx",
    ),
    Scheme.HTTPS: (
        "[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?/[^#]+",
        "must be https://HOST/PATH, such as https://models.example/shoes.onnx, without a user name"
        " or a #fragment; put credentials into a Secret and name it in secretRef",
    ),
    Scheme.S3: (
        "[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]/[^/](.*[^/])?",
        "must be s3://BUCKET/KEY, such as s3://models/shoes.onnx",
    ),
    Scheme.GS: (
        "[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9]/[^/](.*[^/])?",
        "must be gs://BUCKET/OBJECT, such as gs://models/shoes.onnx",
    ),
    Scheme.AZ: (
        "[a-z0-9][-a-z0-9]{1,61}[a-z0-9]/[^/](.*[^/])?",
        "must be az://CONTAINER/PATH, such as az://models/shoes.onnx; the Secret in secretRef"
        " names the account",
    ),
    Scheme.HF: (
        "[-.A-Za-z0-9_]+/[-.A-Za-z0-9_]+@[-.A-Za-z0-9_]+/[^/](.*[^/])?",
        "must be hf://ORG/REPO@REVISION/PATH, such as hf://example/shoes@main/model.onnx",
    ),
    Scheme.OCI: (
        "[A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]{1,5})?(/[-._a-z0-9]+)+"
        "(:[A-Za-z0-9_][-.A-Za-z0-9_]{0,127}|@sha256:[0-9a-f]{64})/[^/](.*[^/])?",
        "must be oci://HOST/REPO:TAG/TITLE or oci://HOST/REPO@sha256:DIGEST/TITLE, such as"
        " oci://registry.example/models/shoes:v3/shoes.onnx; TITLE is the file's name in the"
        " artifact",
    ),
}


def _form(scheme: Scheme) -> Rule:
    pattern, message = _FORMS[scheme]
    return Rule(
        f"!self.startsWith('{scheme}://') || self.matches('^{scheme}://{pattern}$')", message
    )


class SecretReference(ApiModel):
    """A Secret in the agent's namespace."""

    name: DnsSubdomain
    """Name of the Secret."""


class Source(ApiModel):
    """Where the model lies."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                f"has(self.sha256) || !self.uri.matches('{_DIGEST_NEEDED}')",
                "must be set where source.uri is https://, hf:// or oci://, since what is there can"
                " change at any time; take what `sha256sum FILE` prints",
                ".sha256",
            ),
            Rule(
                f"!has(self.secretRef) || !self.uri.startsWith('{Scheme.PVC}://')",
                "has no use for a volume; remove it",
                ".secretRef",
            ),
        )
    }

    uri: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            json_schema_extra=checked(
                Rule(
                    f"self.matches('^({'|'.join(Scheme)})://')",
                    f"must begin with one of {', '.join(f'{scheme}://' for scheme in Scheme)};"
                    " for a file on a PersistentVolumeClaim of the agent's namespace write"
                    " pvc://CLAIM/PATH",
                ),
                *(_form(scheme) for scheme in Scheme),
                Rule(
                    r"!self.matches('(^|[/\\\\])\\.\\.?([/\\\\]|$)')",
                    "must not contain . or .. as a folder; write the path from the root",
                ),
                Rule(
                    r"!self.matches('[\\x00-\\x1f\\x7f]')",
                    "must not contain control characters; rename the file",
                ),
                Rule(
                    rf"!self.lowerAscii().matches('\\.({PICKLE_SUFFIXES})$')",
                    "is a pickle, which can run any code when it is read. Convert it where you"
                    " trust it: torch.export.save(torch.export.export(model.eval(),"
                    " (two_examples,), dynamic_shapes=({0: torch.export.Dim('batch')},)),"
                    " 'model.pt2'), and name model.pt2 here",
                ),
            ),
        ),
    ]
    """The model file: pvc://CLAIM/PATH on a PersistentVolumeClaim of the agent's namespace, or
    where the operator's setting builder.allowedSchemes has the scheme: https://HOST/PATH,
    s3://BUCKET/KEY, gs://BUCKET/OBJECT, az://CONTAINER/PATH, hf://ORG/REPO@REVISION/PATH,
    oci://HOST/REPO:TAG/TITLE."""
    sha256: Annotated[
        str | None,
        Field(
            json_schema_extra=checked(
                Rule(
                    "self.matches('^[0-9a-f]{64}$')",
                    "must be 64 lower-case hexadecimal digits; take what `sha256sum FILE` prints",
                )
            ),
            max_length=64,
        ),
    ] = None
    """SHA-256 of the file; a file that differs is refused. Must be set for https://, hf:// and
    oci://. Where it is given, and an artifact for it exists, nothing is built. Absent: the file as
    it is found by the first build. Of an ONNX model with external data it is what
    `sha256sum MODEL DATA... | cut -c -64 | sha256sum` prints, data files sorted by name."""
    secret_ref: SecretReference | None = None
    """Credentials for the source, by a Secret of the agent's namespace, which only the build's pod
    gets: its keys are environment variables and files below /credentials. Absent: none."""
