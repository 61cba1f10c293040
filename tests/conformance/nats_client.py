"""Dynamo's own runtime as server and client of one endpoint, over NATS.

Run in a process of its own, with the wheels of a release on its path: `python nats_client.py RELEASE`. Prints the
answer; ends where it is not let in.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from dynamo.runtime import DistributedRuntime  # pyright: ignore[reportMissingImports]  # NVIDIA's, not installed here

_TRIES = 100


async def _main(release: str) -> None:
    early = release.startswith("0.")
    options = (False,) if early else ("nats", True)
    runtime: Any = DistributedRuntime(asyncio.get_running_loop(), "file", *options)
    if early:
        component = runtime.namespace("proof").component("echo")
        created = component.create_service()
        if created is not None:
            await created
        endpoint = component.endpoint("generate")
    else:
        endpoint = runtime.endpoint("proof.echo.generate")

    async def echo(request: Any, context: Any = None) -> Any:  # noqa: ARG001 - as the runtime calls it
        yield request

    serving = asyncio.ensure_future(endpoint.serve_endpoint(echo))
    client = await endpoint.client()
    await client.wait_for_instances()
    for tried in range(_TRIES):
        try:
            answers = await client.generate("hello")
            break
        except Exception:
            # Known before it listens.
            if tried == _TRIES - 1:
                raise
            await asyncio.sleep(0.1)
    sys.stdout.write(" ".join([one.data() async for one in answers]))
    sys.stdout.flush()
    serving.cancel()
    # The runtime has threads of its own that do not end.
    os._exit(0)


asyncio.run(_main(sys.argv[1]))
