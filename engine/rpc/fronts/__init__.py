"""What speaks HTTP/2 before the routes: servers with grpc.aio's interface, of which one listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import grpc

from engine.config import GrpcFront
from engine.rpc.routes import Routes

Options: TypeAlias = Sequence[tuple[str, Any]]


def new_server(
    front: GrpcFront, routes: Routes, others: grpc.GenericRpcHandler, options: Options
) -> grpc.aio.Server:
    """Return a server, not yet listening, of these routes and other handlers."""
    if front == "native":
        # It need not be installed where it does not serve.
        from engine.rpc.fronts import native

        return native.new_server(routes, others, options)
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((routes, others))
    return server
