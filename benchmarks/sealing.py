"""The same load on an engine that stores payloads as they come, and on one that encrypts them."""

from __future__ import annotations

from typing import Any

from benchmarks.installation import Installation
from benchmarks.variants import measure_variants


def measure_sealing(installed: Installation, seconds: float) -> dict[str, Any]:
    """Return runs a second and CPU a run of each, and the ratios of those that followed each other."""
    variants = {word: {"SERVER_ENCRYPTION_PAYLOADS": word} for word in ("off", "on")}

    def forget_keys() -> None:
        """An engine does not start without encryption while something is encrypted."""
        installed.database.execute("DELETE FROM engine_tenantkey")

    return measure_variants(installed, "bench-sealing", variants, seconds, forget_keys)
