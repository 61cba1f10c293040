"""A stand-in for the engine's Python language host, for the one command that wants it without need.

`pulumi import --generate-code=false` starts the host of the project's language before it looks at its flags. A
user's Pulumi brings that host; the engine of the rehearsal is built without it. This one answers the one
question that the engine asks before an import. The engine starts it as `pulumi-language-python`, reads a port from its
standard output, and kills it at the end.
"""

from __future__ import annotations

import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2
from typing_extensions import override


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers who it is, and nothing else."""

    @override
    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="3.259.0")


def install(folder: Path) -> dict[str, str]:
    """Put a launcher into `folder`; returns the variables with which the engine finds it."""
    folder.mkdir(exist_ok=True)
    launcher = folder / "pulumi-language-python"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}"\n', encoding="utf-8")
    launcher.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()
