"""The same load on an engine behind each of the two gRPC fronts, which take turns."""

from __future__ import annotations

from typing import Any

from benchmarks.installation import Installation
from benchmarks.variants import measure_variants


def measure_fronts(installed: Installation, seconds: float) -> dict[str, Any]:
    """Return runs a second and CPU a run behind each, and the ratios of those that followed each other."""
    variants = {front: {"SERVER_GRPC_FRONT": front} for front in ("grpcio", "native")}
    return measure_variants(installed, "bench-fronts", variants, seconds)
