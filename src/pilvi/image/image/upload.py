"""Uploading: PUT of an image's bytes, straight to the image or to be imported later (stage).

Bytes are handed to a thread a mebibyte at a time, written and hashed there while the next ones arrive.
Source: Image service API v2, "Image data"; "Stage binary image data".
"""
from __future__ import annotations

import asyncio
from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.image import errors
from pilvi.image.image import intake
from pilvi.image.image.intake import Intake

PIECE = 1 << 20


async def upload(call: Call, receive: Any, send: Any, id: str) -> Response:
    """PUT /v2/images/{id}/file"""
    return await _receive(call, receive, id, "upload")


async def stage(call: Call, receive: Any, send: Any, id: str) -> Response:
    """PUT /v2/images/{id}/stage"""
    return await _receive(call, receive, id, "stage")


async def _receive(call: Call, receive: Any, id: str, verb: str) -> Response:
    assert call.application is not None
    loop, threads = asyncio.get_running_loop(), call.application.threads
    attempt = await loop.run_in_executor(threads, intake.begin, call, id, verb)
    try:
        await _pour(receive, attempt, threads)
        await loop.run_in_executor(threads, attempt.finish)
    except BaseException:  # the server's own end included: nothing may stay `saving` longer than needed
        await asyncio.shield(loop.run_in_executor(threads, attempt.give_up))
        raise
    return Response(204)


async def _pour(receive: Any, attempt: Intake, threads: Any) -> None:
    """Everything that arrives goes to the attempt. Raises BrokenOff when the client goes away first."""
    loop = asyncio.get_running_loop()
    held = bytearray()
    writing: asyncio.Future[None] | None = None
    more = True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect": raise errors.BrokenOff(id=attempt.id)
            held += message.get("body", b"")
            more = message.get("more_body", False)
            if len(held) < PIECE and more: continue
            if writing is not None: await writing
            writing, held = loop.run_in_executor(threads, attempt.take, bytes(held)), bytearray()
    finally:
        if writing is not None: await writing


ROUTES = [
    Route("/v2/images/{id}/file", "PUT", upload, None, stream=True),
    Route("/v2/images/{id}/stage", "PUT", stage, None, stream=True),
]
