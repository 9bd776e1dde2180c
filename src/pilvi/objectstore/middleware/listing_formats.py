"""Listings as text, JSON or XML, as the client asked. Below it they are lines (proxy/listing.py)."""
from __future__ import annotations

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.listing import render, wanted_format
from pilvi.objectstore.proxy.message import Handler, Request, Response, refusal
from pilvi.objectstore.proxy.world import World


class ListingFormats:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application

    async def __call__(self, request: Request) -> Response:
        response = await self.application(request)
        listing = response.notes.get("listing")
        if listing is None: return response
        try: kind = wanted_format(request)
        except Refused as failure: return refusal(failure)
        head = request.method == "HEAD"
        response.headers |= {"content-type": f"{kind}; charset=utf-8", "vary": "Accept"}
        if kind == "text/plain" and not listing.lines:
            response.status, response.body, response.headers["content-length"] = 204, b"", "0"
            return response
        if head: response.status, response.body, response.headers["content-length"] = 204, b"", "0"
        else: response.body = render(listing, kind)
        return response
