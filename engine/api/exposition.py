"""Numbers as the text that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

MEDIA_TYPE = "text/plain"
CONTENT_TYPE = f"{MEDIA_TYPE}; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Family:
    """A metric with its samples, by what follows its name and by their labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def add(self, value: float, labels: Labels = (), suffix: str = "") -> None:
        """Add to a sample: what looks the same is told as one."""
        key = suffix, labels
        self.samples[key] = self.samples.get(key, 0.0) + value

    def observe(
        self,
        bounds: Iterable[float],
        counts: Mapping[int, float],
        total: float,
        labels: Labels = (),
    ) -> None:
        """Add a histogram: `counts` by the number of the bucket, the one above all bounds included."""
        passed = 0.0
        last = 0
        for number, bound in enumerate(bounds):
            passed += counts.get(number, 0.0)
            self.add(passed, (*labels, ("le", _number(bound))), "_bucket")
            last = number + 1
        passed += counts.get(last, 0.0)
        self.add(passed, (*labels, ("le", "+Inf")), "_bucket")
        self.add(total, labels, "_sum")
        self.add(passed, labels, "_count")


def exposition(families: Iterable[Family]) -> str:
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.about)}"
    yield f"# TYPE {family.name} {family.kind}"
    for (suffix, labels), value in family.samples.items():
        told = ",".join(f'{name}="{_label(text)}"' for name, text in labels)
        yield f"{family.name}{suffix}{{{told}}} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _label(text: str) -> str:
    return _escaped(text).replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
