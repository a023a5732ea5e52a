"""Builds and installs the servers that are not in the cache yet: `python -m tests.servers`."""

from tests.servers import programs

for make in (programs.oci_registry, programs.fake_gcs_server, programs.azurite):
    print(make(), flush=True)
