"""Whose rights the bundled Postgres runs with, and what that account can reach.

Postgres refuses to run as root. When root starts us, the server gets an unprivileged account, and its
files must lie where that account can walk to: not below a private directory such as /root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

PREFERRED_NAMES = ("hatchet", "postgres")
LAST_RESORT_NAME = "nobody"


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """An account to run the server as; `is_self` when no change of user is needed."""

    name: str
    uid: int
    gid: int
    is_self: bool

    @property
    def new_uid(self) -> int | None:
        return None if self.is_self else self.uid

    @property
    def new_gid(self) -> int | None:
        return None if self.is_self else self.gid

    @property
    def new_groups(self) -> list[int] | None:
        return None if self.is_self else []

    def can_reach(self, path: Path) -> bool:
        """Whether every directory above `path` lets this account pass."""
        return self.is_self or all(self._may_enter(parent) for parent in path.absolute().parents)

    def own(self, path: Path) -> None:
        if not self.is_self:
            os.chown(path, self.uid, self.gid)

    def _may_enter(self, directory: Path) -> bool:
        if not directory.exists():
            return True  # we make it ourselves, open enough
        status = directory.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def current_account() -> ServerAccount:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run under a bare number
        name = str(uid)
    return ServerAccount(name, uid, os.getegid(), is_self=True)


def choose_account(existing_data: Path) -> ServerAccount:
    """Ourselves, or as root: the owner of the data if there is some, else an unprivileged account."""
    if os.geteuid() != 0:
        return current_account()
    if existing_data.exists() and existing_data.stat().st_uid != 0:
        status = existing_data.stat()
        return ServerAccount(str(status.st_uid), status.st_uid, status.st_gid, is_self=False)
    for name in PREFERRED_NAMES:
        if account := _find(name):
            return account
    return _create(PREFERRED_NAMES[0]) or _find(LAST_RESORT_NAME) or _no_account()


def _find(name: str) -> ServerAccount | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return ServerAccount(name, entry.pw_uid, entry.pw_gid, is_self=False) if entry.pw_uid else None


def _create(name: str) -> ServerAccount | None:
    useradd = shutil.which("useradd")
    if useradd is None:
        return None
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    made = subprocess.run([useradd, *options, name], capture_output=True, check=False)
    return _find(name) if made.returncode == 0 else None


def _no_account() -> ServerAccount:
    raise RuntimeError(
        "Postgres may not run as root and this machine has no unprivileged account for it: "
        "create one (useradd --system hatchet) or set DATABASE_URL."
    )
