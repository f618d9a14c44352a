"""Objects as files of a directory: for trying, and for one machine."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from engine.environment import ConfigError
from engine.errors import PayloadsAway
from engine.vault.objects import NoObject

_PAGE = 500
_DRAFT = ".draft"


class Directory:
    """A key is a path below the directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, key: str, content: bytes) -> None:
        path = self._path / key
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_DRAFT}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            draft.rename(path)
            for made in (path.parent, path.parent.parent, self._path):
                _make_durable(made)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise PayloadsAway(f"a payload cannot be written: {error.strerror}") from error

    def get(self, key: str) -> bytes:
        try:
            return (self._path / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            if not self._path.is_dir():
                raise PayloadsAway("the directory of payloads is not there") from None
            raise NoObject(key) from None
        except OSError as error:
            raise PayloadsAway(f"a payload cannot be read: {error.strerror}") from error

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._path / key
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise PayloadsAway(f"a payload cannot be removed: {error.strerror}") from error
            for parent in (path.parent, path.parent.parent):
                with contextlib.suppress(OSError):  # others are in it still
                    parent.rmdir()

    def page(self, after: str) -> list[str]:
        return list(islice(self._keys(after), _PAGE))

    def _keys(self, after: str) -> Iterator[str]:
        tenant, _, rest = after.partition("/")
        owner, _, _ = rest.partition("/")
        for of_tenant in _listed(self._path, from_=tenant):
            is_same = of_tenant == tenant
            for of_owner in _listed(self._path / of_tenant, from_=owner if is_same else ""):
                for name in _listed(self._path / of_tenant / of_owner):
                    key = f"{of_tenant}/{of_owner}/{name}"
                    if key > after and not name.endswith(_DRAFT):
                        yield key

    def check(self) -> None:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self._path / f".{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ConfigError(
                f"SERVER_PAYLOAD_STORE_DIRECTORY: cannot write to {self._path} ({error.strerror})."
            ) from None


def _listed(path: Path, *, from_: str = "") -> list[str]:
    """Return the names in a directory in order; one that is not there has none."""
    try:
        return sorted(found.name for found in path.iterdir() if found.name >= from_)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _make_durable(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
