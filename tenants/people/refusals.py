"""Why something about people or tenants is not done; the sentence is for whoever asked for it."""

from __future__ import annotations


class Refused(Exception):
    """What is asked cannot be, as it stands; `field` names what is wrong of what was given."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class Forbidden(Refused):
    """Somebody else may do it, or nobody may now."""


class Unknown(Refused):
    """There is no such thing, or none that whoever asks may know of."""
