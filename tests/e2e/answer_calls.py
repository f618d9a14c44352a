"""Runs functions of a module on request: `python -m tests.e2e.answer_calls <module>`.

One JSON object a line, in and out. The official SDK lives in this process, away from the tests.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import traceback
from types import ModuleType
from typing import Any

import pydantic_core


async def answer(module: ModuleType, request: dict[str, Any]) -> dict[str, Any]:
    function = getattr(module, request["call"])
    try:
        if inspect.iscoroutinefunction(function):
            value = await function(**request["given"])
        else:
            value = await asyncio.to_thread(function, **request["given"])
    except Exception as error:  # noqa: BLE001  (the test decides what an error means)
        return {
            "error": type(error).__name__,
            "text": str(error),
            "traceback": "".join(traceback.format_exception(error)),
        }
    return {"value": value}


async def main(module_name: str) -> None:
    # Whatever the SDK prints belongs to the log, not between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    module = importlib.import_module(module_name)
    while line := await asyncio.to_thread(sys.stdin.readline):
        given = await answer(module, json.loads(line))
        answers.write(json.dumps(given, default=pydantic_core.to_jsonable_python) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
