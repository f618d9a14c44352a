"""allauth's app of accounts, of which we use the tables alone."""

from __future__ import annotations

from allauth.account.apps import AccountConfig


class AccountTables(AccountConfig):  # type: ignore[misc]  # allauth is untyped
    """Without what its pages need: its middleware would run in every request, and we have none of its pages."""

    def ready(self) -> None:
        """Ask for nothing."""
