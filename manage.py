#!/usr/bin/env python
"""Django's command-line entry point."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hatchet_site.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from engine.environment import ConfigError

    try:
        _ = settings.HATCHET  # reads the environment
    except ConfigError as error:
        sys.exit(f"Hatchet cannot start: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C is no error to explain
