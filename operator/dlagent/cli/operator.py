"""`dlagent operator`: run the operator, in its pod or on a developer's machine."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from dlagent.cli.errors import CliError
from dlagent.runtime.settings import SettingsError, load_settings

app = typer.Typer(add_completion=False)


@app.command()
def operator(
    settings: Annotated[
        Path, typer.Option(help="The settings, as in the chart's ConfigMap.", show_default=False)
    ],
    kubeconfig: Annotated[
        Path | None,
        typer.Option(help="Default: KUBECONFIG, the pod's service account, ~/.kube/config."),
    ] = None,
    leader_elect: Annotated[
        bool, typer.Option("--leader-elect", help="Work only while holding the Lease.")
    ] = False,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Look at this namespace only; may be repeated.")
    ] = None,
    bind_address: Annotated[
        str | None,
        typer.Option(
            help="Where probes and metrics are served. Default: the settings' server.host."
        ),
    ] = None,
) -> None:
    """Run the operator until Ctrl-C or SIGTERM.

    Exit codes: 0 asked to stop; 1 settings or cluster cannot be used; 3 another process leads now.
    """
    # kopf, kubernetes and tritonclient take seconds to import: not for --help or bad settings.
    from kubernetes.aio.config import ConfigException

    from dlagent import main
    from dlagent.adapters.kubeconfig import KubeconfigError

    try:
        loaded = load_settings(settings)
        if bind_address is not None:
            server = loaded.server.model_copy(update={"host": bind_address})
            loaded = loaded.model_copy(update={"server": server})
        asyncio.run(main.run(loaded, kubeconfig, leader_elect, namespace))
    except SettingsError as error:
        raise CliError(str(error)) from error
    except (KubeconfigError, ConfigException) as error:
        raise CliError(f"no cluster: {error}. Give --kubeconfig") from error
