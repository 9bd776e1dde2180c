"""Microversion negotiation: no header means the least, `latest` the newest; 406 outside the range, 400 malformed.

Source: API-SIG, "Microversion Specification".
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from pilvi.core.errors import Invalid, NotAcceptable

FORM = re.compile(r"^([1-9]\d*)\.([1-9]\d*|0)$")


class VersionMalformed(Invalid):
    """API Version String '{text}' is of invalid format. It must be of format 'MajorNum.MinorNum'."""


class VersionUnknown(NotAcceptable):
    """Version {text} is not supported by the API. Minimum is {least} and maximum is {most}."""


@dataclass(frozen=True, slots=True)
class Microversions:
    """The range one service serves. `types`: the service types accepted in OpenStack-API-Version; the first is written in replies.
    `legacy`: an older header of the same meaning."""
    types: tuple[str, ...]
    least: tuple[int, int]
    most: tuple[int, int]
    legacy: str | None = None

    def negotiate(self, headers: dict[str, str]) -> tuple[int, int]:
        """The version a request asks for. Raises VersionMalformed, VersionUnknown."""
        asked = self._asked(headers)
        if asked is None: return self.least
        if asked == "latest": return self.most
        found = FORM.match(asked)
        if not found: raise VersionMalformed(text=asked[:40])
        wanted = int(found[1][:6]), int(found[2][:6])
        if not self.least <= wanted <= self.most: raise VersionUnknown(text=asked[:40], least=dotted(self.least), most=dotted(self.most))
        return wanted

    def _asked(self, headers: dict[str, str]) -> str | None:
        for part in headers.get("openstack-api-version", "").split(","):
            service, _, wanted = part.strip().partition(" ")
            if service.lower() in self.types and wanted: return wanted.strip().lower()
        if self.legacy and self.legacy in headers: return headers[self.legacy].strip().lower()
        return None

    def reply(self, chosen: tuple[int, int]) -> dict[str, str]:
        """The headers that tell which version was served."""
        written = {"OpenStack-API-Version": f"{self.types[0]} {dotted(chosen)}", "Vary": "OpenStack-API-Version"}
        if self.legacy: written |= {self.legacy: dotted(chosen), "Vary": f"OpenStack-API-Version, {self.legacy}"}
        return written


def dotted(version: tuple[int, int]) -> str:
    """(2, 10) as 2.10."""
    return f"{version[0]}.{version[1]}"
