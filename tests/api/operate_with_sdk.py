"""Run in a process of its own: call operations of the official SDK's generated client.

Each line of stdin is a JSON object, each answer a line with one. `{}` asks which operations there are,
with their parameters; anything else names one operation, its arguments, and as whom it is called.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin

from hatchet_sdk.clients.rest import api
from hatchet_sdk.clients.rest.api_client import ApiClient
from hatchet_sdk.clients.rest.configuration import Configuration
from hatchet_sdk.clients.rest.exceptions import ApiException

VARIANTS = ("_with_http_info", "_without_preload_content")


class Client(ApiClient):
    """Remembers which statuses the contract gives the last operation."""

    declared: dict[str, Any]

    def response_deserialize(self, response_data: Any, response_types_map: Any = None) -> Any:
        self.declared = response_types_map
        return super().response_deserialize(response_data, response_types_map)


@cache
def operations() -> dict[str, type[Any]]:
    """The class of each operation, by the operation's name."""
    found: dict[str, type[Any]] = {}
    for module in pkgutil.iter_modules(api.__path__):
        name = f"{api.__name__}.{module.name}"
        for kind in vars(importlib.import_module(name)).values():
            if inspect.isclass(kind) and kind.__module__ == name:
                found |= {each: kind for each in vars(kind) if is_operation(each)}
    return found


def is_operation(name: str) -> bool:
    return not name.startswith("_") and not name.endswith(VARIANTS)


def parameters(name: str) -> Iterator[inspect.Parameter]:
    signature = inspect.signature(getattr(operations()[name], name))
    yield from (one for one in signature.parameters.values() if one.name != "self")


def described() -> dict[str, Any]:
    return {
        name: {
            one.name: {
                "is_required": one.default is one.empty,
                "choice": choice_of(one.annotation),
            }
            for one in parameters(name)
            if not one.name.startswith("_")
        }
        for name in operations()
    }


def choice_of(annotation: Any) -> Any:
    """The first value of an enumeration, in a list if it takes one; None for any other type."""
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return next(iter(annotation)).value
    found = next((each for each in map(choice_of, get_args(annotation)) if each is not None), None)
    return [found] if found is not None and get_origin(annotation) is list else found


def model_of(annotation: Any) -> Any:
    if inspect.isclass(annotation) and hasattr(annotation, "from_dict"):
        return annotation
    return next((each for each in map(model_of, get_args(annotation)) if each is not None), None)


def prepared(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    kinds = {one.name: one.annotation for one in parameters(name)}
    return {key: argument(kinds[key], key, value) for key, value in arguments.items()}


def argument(kind: Any, key: str, value: Any) -> Any:
    model = model_of(kind) if isinstance(value, dict) and not key.startswith("_") else None
    if model is not None:
        return model.from_dict(value)
    return value.encode() if key == "payload" else value


def call(asked: dict[str, Any]) -> dict[str, Any]:
    client = Client(
        Configuration(host=asked["host"], access_token=asked.get("token")),
        cookie=asked.get("cookie"),
    )
    name = asked["operation"]
    method = getattr(operations()[name](client), f"{name}_with_http_info")
    try:
        answer = method(**prepared(name, asked["arguments"]))
    except ApiException as error:
        return {"status": error.status, "body": error.body}
    except Exception as error:  # noqa: BLE001  (every kind of failure is the finding)
        return {"status": None, "trouble": f"{type(error).__name__}: {error}"}
    return {
        "status": answer.status_code,
        "is_declared": str(answer.status_code) in client.declared,
        "body": (answer.raw_data or b"").decode(),
        "cookie": answer.headers.get("Set-Cookie"),
    }


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps(call(asked) if asked else described()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
