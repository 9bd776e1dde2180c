"""What object storage refuses: an HTTP status with Swift's text for it, or a text of its own.

This service answers text, not JSON; its clients read the status. Source: Object Storage API reference, status codes.
"""
from __future__ import annotations

from http import HTTPStatus

TEXTS = {
    200: ("OK", ""), 201: ("Created", ""), 202: ("Accepted", "The request is accepted for processing."), 204: ("No Content", ""),
    301: ("Moved Permanently", "The resource has moved permanently."), 302: ("Found", "The resource has moved temporarily."),
    303: ("See Other", "The response to the request can be found under a different URI."), 304: ("Not Modified", ""),
    307: ("Temporary Redirect", "The resource has moved temporarily."),
    400: ("Bad Request", "The server could not comply with the request since it is either malformed or otherwise incorrect."),
    401: ("Unauthorized", "This server could not verify that you are authorized to access the document you requested."),
    402: ("Payment Required", "Access was denied for financial reasons."),
    403: ("Forbidden", "Access was denied to this resource."), 404: ("Not Found", "The resource could not be found."),
    405: ("Method Not Allowed", "The method is not allowed for this resource."),
    406: ("Not Acceptable", "The resource is not available in a format acceptable to your browser."),
    408: ("Request Timeout", "The server has waited too long for the request to be sent by the client."),
    409: ("Conflict", "There was a conflict when trying to complete your request."),
    410: ("Gone", "This resource is no longer available."), 411: ("Length Required", "Content-Length header required."),
    412: ("Precondition Failed", "A precondition for this request was not met."),
    413: ("Request Entity Too Large", "The body of your request was too large for this server."),
    414: ("Request URI Too Long", "The request URI was too long for this server."),
    415: ("Unsupported Media Type", "The request media type is not supported by this server."),
    416: ("Requested Range Not Satisfiable", "The Range requested is not available."),
    417: ("Expectation Failed", "Expectation failed."),
    422: ("Unprocessable Entity", "Unable to process the contained instructions"),
    429: ("Too Many Requests", "Too many requests were sent in a short time."),
    498: ("Rate Limited", "Your requests have been slowed down."), 499: ("Client Disconnect", "The client went away during the request."),
    500: ("Internal Error", "The server has either erred or is incapable of performing the requested operation."),
    501: ("Not Implemented", "The requested method is not implemented by this server."),
    502: ("Bad Gateway", "Bad gateway."),
    503: ("Service Unavailable", "The server is currently unavailable. Please try again at a later time."),
    507: ("Insufficient Storage", "There was not enough space to save the resource."),
}


class Refused(Exception):
    """An answer other than success. `text` replaces the status's own page; `media_type` is that of the text."""

    def __init__(self, status: int, text: str | bytes | None = None, media_type: str = "text/html; charset=UTF-8",
                 headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {text if isinstance(text, str) else reason(status)}")
        self.status, self.text, self.media_type, self.headers = status, text, media_type, headers or {}

    def body(self) -> bytes:
        """What the client reads."""
        if self.text is None: return page(self.status)
        return self.text if isinstance(self.text, bytes) else self.text.encode("utf-8", "surrogateescape")


class ClientGone(Exception):
    """The client went away before its request was complete."""


def reason(status: int) -> str:
    """Not Found for 404."""
    if status in TEXTS: return TEXTS[status][0]
    try: return HTTPStatus(status).phrase
    except ValueError: return "Unknown"


def page(status: int) -> bytes:
    """The page that tells a status; empty where there is nothing to say."""
    title, text = TEXTS.get(status, ("", ""))
    return f"<html><h1>{title}</h1><p>{text}</p></html>".encode() if text else b""
