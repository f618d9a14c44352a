"""Generated JSON texts, and values that tell every digit of them apart."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

_EXTREME = ["18446744073709551617", "-9223372036854775809", "1.8446744073709552e+19", "9" * 308]
_EXTREME += ["0.10000000000000000000000000001", "1e-200", "2.50", "-0.0", "1E+2", "1e307", "1e-350"]
numbers = st.sampled_from(_EXTREME) | st.integers(-(10**40), 10**40).map(str)
numbers |= st.decimals(-(10**30), 10**30, allow_nan=False, places=25).map(str)
numbers |= st.floats(allow_nan=False, allow_infinity=False).map(repr)
_character = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
texts = st.builds(
    lambda text, is_ascii: json.dumps(text, ensure_ascii=is_ascii),
    st.text(_character, max_size=8),
    st.booleans(),
)


def _list(parts: list[str]) -> str:
    return "[" + ", ".join(parts) + "]"


def _object(parts: dict[str, str]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in parts.items()) + "}"


documents = st.recursive(
    numbers | texts | st.sampled_from(["null", "true", "false"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(_list)
        | st.dictionaries(texts, inner, max_size=3).map(_object)
    ),
    max_leaves=8,
)
objects = st.dictionaries(texts, documents, max_size=4).map(_object)


def exact(text: str | bytes) -> Any:
    """Return the value of a document, numbers as decimals."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
