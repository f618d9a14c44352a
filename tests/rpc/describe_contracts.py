"""Print the contracts that the modules named on the command line define, as JSON.

A program of its own: the SDK's generated modules and ours register the same names, so they cannot
share one process.
"""

import json
import sys
from importlib import import_module
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor


def describe(modules: list[str]) -> dict[str, Any]:
    files: dict[str, FileDescriptor] = {}
    for module in modules:
        _collect(import_module(module).DESCRIPTOR, files)
    contracts: dict[str, Any] = {"files": {}, "services": {}, "messages": {}, "enums": {}}
    for name, file in files.items():
        contracts["files"][name] = sorted(
            [*file.services_by_name, *file.message_types_by_name, *file.enum_types_by_name]
        )
        for service in file.services_by_name.values():
            contracts["services"][service.full_name] = {
                method.name: {
                    "input": method.input_type.full_name,
                    "output": method.output_type.full_name,
                    "client_streaming": method.client_streaming,
                    "server_streaming": method.server_streaming,
                }
                for method in service.methods
            }
        for message in file.message_types_by_name.values():
            _add_message(message, contracts)
        for enum in file.enum_types_by_name.values():
            _add_enum(enum, contracts)
    return contracts


def _collect(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    if file.name.startswith("google/") or file.name in files:
        return
    files[file.name] = file
    for dependency in file.dependencies:
        _collect(dependency, files)


def _add_message(message: Descriptor, contracts: dict[str, Any]) -> None:
    contracts["messages"][message.full_name] = {
        field.name: {
            "number": field.number,
            "type": field.type,
            "repeated": field.is_repeated,
            "presence": field.has_presence,
            "json_name": field.json_name,
            "of": _name_of(field.message_type or field.enum_type),
            # proto3 optional fields live in a oneof of their own whose name starts with `_`.
            "oneof": field.containing_oneof.name if field.containing_oneof else None,
        }
        for field in message.fields
    }
    for nested in message.nested_types:
        _add_message(nested, contracts)
    for enum in message.enum_types:
        _add_enum(enum, contracts)


def _add_enum(enum: EnumDescriptor, contracts: dict[str, Any]) -> None:
    contracts["enums"][enum.full_name] = {value.name: value.number for value in enum.values}


def _name_of(target: Descriptor | EnumDescriptor | None) -> str | None:
    return target.full_name if target else None


if __name__ == "__main__":
    json.dump(describe(sys.argv[1:]), sys.stdout)
