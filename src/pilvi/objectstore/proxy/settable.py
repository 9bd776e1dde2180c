"""Which headers of a PUT or POST are kept with an account or a container. Pure."""
from __future__ import annotations

from pilvi.objectstore.proxy.message import Request


def settable(request: Request, kept: tuple[str, ...]) -> dict[str, str]:
    """{name: value} of the headers that begin with one of `kept`; "" removes. X-Remove-Container-Meta-Color removes too."""
    found = {name: value for name, value in request.headers.items() if name.startswith(kept)}
    for name in request.headers:
        plain = name.replace("x-remove-", "x-", 1)
        if plain != name and plain.startswith(kept): found.setdefault(plain, "")
    return found
