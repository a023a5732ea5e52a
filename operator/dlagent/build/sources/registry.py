"""The schemes of URIs, and the module of each.

A module is imported when a source needs it: the libraries for object stores take seconds.
"""

from collections.abc import Callable
from importlib import import_module

from dlagent.api.types import Scheme
from dlagent.build.sources.base import Access, RemoteFile, Wanted, invalid

_MODULES = {
    Scheme.PVC: ("pvc", "FolderFile"),
    Scheme.HTTPS: ("https", "HttpsFile"),
    Scheme.S3: ("s3", "s3_file"),
    Scheme.GS: ("gs", "gs_file"),
    Scheme.AZ: ("az", "az_file"),
    Scheme.HF: ("hf", "HubFile"),
    Scheme.OCI: ("oci", "ArtifactFile"),
}
_LOCAL = "file"
# Schemes whose files lie in folders, so that a file can name another one beside it.
_WITH_FOLDERS = {Scheme.PVC, Scheme.S3, Scheme.GS, Scheme.AZ, Scheme.HF, _LOCAL}


def scheme_of(uri: str) -> str:
    return uri.partition("://")[0]


def remote_file(wanted: Wanted, access: Access) -> RemoteFile:
    """The file that a URI names, nothing of it read yet.

    Raises:
        BuildError: InvalidPath, SourceUnavailable.
    """
    scheme = scheme_of(wanted.uri)
    if scheme == _LOCAL and access.local_files:
        scheme = Scheme.PVC
    if scheme not in _MODULES:
        known = ", ".join(f"{known}://" for known in _MODULES)
        raise invalid(wanted, f"it does not begin with one of {known}")
    module, name = _MODULES[Scheme(scheme)]
    opener: Callable[[Wanted, Access], RemoteFile] = getattr(
        import_module(f"dlagent.build.sources.{module}"), name
    )
    return opener(wanted, access)


def beside(uri: str, name: str) -> str | None:
    """The URI of a file in the same folder; None where the scheme has no folders."""
    if scheme_of(uri) not in _WITH_FOLDERS:
        return None
    return f"{uri.rpartition('/')[0]}/{name}"
