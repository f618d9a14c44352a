"""`python -m tests.simulation`: plays any number of seeds, or one, of the simulation of durable tasks."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hatchet_site.settings")
django.setup()

from tests.simulation.run import Failure, simulate, tell  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play this one and tell its story")
    given = parser.parse_args()
    if given.seed is not None:
        return _tell_one(given.seed)
    began = time.monotonic()
    seeds = range(given.first, given.first + given.seeds)
    failures = []
    with ProcessPoolExecutor() as pool:
        for failure in pool.map(_play, seeds, chunksize=20):
            if failure is not None:
                failures.append(failure)
                print(failure.splitlines()[0], flush=True)
    print(f"{len(seeds)} seeds in {time.monotonic() - began:.0f} s, {len(failures)} failed")
    return 1 if failures else 0


def _play(seed: int) -> str | None:
    try:
        simulate(seed)
    except Failure as failure:
        return str(failure)
    return None


def _tell_one(seed: int) -> int:
    try:
        print(tell(simulate(seed)))
    except Failure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
