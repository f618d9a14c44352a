"""Options that several commands have."""

from __future__ import annotations

from argparse import ArgumentTypeError

from engine.config import MOST_WEB_PROCESSES


def number_of_processes(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_WEB_PROCESSES:
        return int(text)
    raise ArgumentTypeError(f"must be a whole number from 1 to {MOST_WEB_PROCESSES}")
