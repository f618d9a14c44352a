"""Answers that are sent while they are made, so that a long one is never in memory whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from threading import BoundedSemaphore

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from tenants.rest.errors import ApiError

MOST_AT_ONCE = 2
"""Each keeps one of the threads that serve requests, for as long as its reader takes."""

_places = BoundedSemaphore(MOST_AT_ONCE)


def streamed(
    request: HttpRequest, pieces: Iterator[bytes], *, media_type: str, file_name: str
) -> StreamingHttpResponse:
    """Answer with what is yielded. Each piece is made in the request's own thread, when it is wanted."""
    if not _places.acquire(blocking=False):
        raise ApiError(429, f"{MOST_AT_ONCE} exports are being sent; try again later")
    placed = _Placed(pieces)
    content = _InThread(placed) if isinstance(request, ASGIRequest) else placed
    response = StreamingHttpResponse(content, content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


class _Placed:
    """Pieces that have a place among what is being sent. `close` gives it to others."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._has_place = True

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        if self._has_place:
            self._has_place = False
            _places.release()


class _InThread:
    """The same for a server that does not wait: of a plain iterator Django would collect all first."""

    def __init__(self, pieces: _Placed) -> None:
        self._pieces = pieces
        self.close = pieces.close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._pieces)
        following = sync_to_async(lambda: next(pieces, None))
        while (piece := await following()) is not None:
            yield piece
