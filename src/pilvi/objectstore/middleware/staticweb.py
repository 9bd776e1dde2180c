"""Containers as web sites: an index, an error page, and listings as pages, as the container's metadata say.

X-Container-Meta-Web-Index, -Web-Error, -Web-Listings, -Web-Listings-CSS, -Web-Listings-Label, -Web-Directory-Type. Who has a token sees
the API, not the site, unless X-Web-Mode asks for it.
Source: Object Storage API, "Static website".
"""
from __future__ import annotations

from html import escape
from typing import Any

from pilvi.objectstore.node.interface import ContainerStat
from pilvi.objectstore.proxy.message import HTML, Handler, Request, Response, answer, is_true, quoted
from pilvi.objectstore.proxy.world import World

META = "x-container-meta-web-"
PAGE = 10_000


class StaticWeb:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["staticweb"] = {}

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if request.method not in ("GET", "HEAD") or not (account and container): return await self.application(request)
        with_token = "x-auth-token" in request.headers or "x-storage-token" in request.headers
        if with_token and not is_true(request.headers.get("x-web-mode")): return await self.application(request)
        stat = await self.world.facts.container(request, account, container)
        site = {key.removeprefix(META): value for key, value in stat.metadata.items() if key.startswith(META)} if stat else {}
        if stat is None or not (site.get("index") or site.get("error") or is_true(site.get("listings"))):
            return await self.application(request)
        return await (self._object(request, stat, site, name) if name else self._root(request, stat, site))

    async def _root(self, request: Request, stat: ContainerStat, site: dict[str, str]) -> Response:
        """The container itself."""
        if not site.get("index") and not is_true(site.get("listings")): return await self.application(request)
        if "format" in request.query or "limit" in request.query: return await self.application(request)
        if not request.path.endswith("/"): return self._redirect(request)
        if site.get("index"):
            found = await self._fetch(request, request.path + site["index"])
            if found.ok or found.status in (304, 412, 416): return found
            if found.status != 404: return await self._error(request, site, found)
            await found.close()
        return await self._listing(request, stat, site, "")

    async def _object(self, request: Request, stat: ContainerStat, site: dict[str, str], name: str) -> Response:
        """An object, or what stands for a folder."""
        found = await self.application(request)
        kinds = (site.get("directory-type", "application/directory"), "text/directory")
        kind = found.headers.get("content-type", "").partition(";")[0]
        folder = found.ok and kind in kinds and found.headers.get("content-length") in ("0", "1")
        if found.ok and not folder:
            found.notes["site"] = True
            return found
        if found.status != 404 and not folder: return await self._error(request, site, found)
        await found.close()
        if request.path.endswith("/") or folder:
            if not request.path.endswith("/"): return self._redirect(request)
            if site.get("index"):
                inner = await self._fetch(request, request.path + site["index"])
                if inner.status != 404: return inner if inner.ok else await self._error(request, site, inner)
                await inner.close()
            return await self._listing(request, stat, site, name)
        if await self._lines(request, name + "/", 1):
            return self._redirect(request)
        return await self._error(request, site, answer(404))

    async def _fetch(self, request: Request, path: str) -> Response:
        keep = {name: value for name, value in request.headers.items() if name.startswith("if-") or name in ("range", "referer")}
        asked = request.child(request.method, path, headers=keep, source="SW")
        response = await self.application(asked)
        response.notes["site"] = True
        return response

    async def _lines(self, request: Request, prefix: str, limit: int) -> list[dict[str, Any]]:
        path = "/".join(request.path.split("/", 4)[:4])
        headers = {"referer": request.headers["referer"]} if "referer" in request.headers else {}
        asked = request.child("GET", path, query={"prefix": prefix, "delimiter": "/", "limit": str(limit)}, headers=headers, source="SW")
        response = await self.application(asked)
        found: list[dict[str, Any]] = response.notes["listing"].lines if response.ok else []
        return found

    def _redirect(self, request: Request) -> Response:
        shown = request.notes.get("shown path")
        path = quoted(shown if shown is not None else request.path)
        query = f"?{request.query_string}" if request.query_string else ""
        return answer(301, headers={"location": f"{request.base}{path}/{query}"})

    async def _error(self, request: Request, site: dict[str, str], response: Response) -> Response:
        """The container's own page for a status: 404error.html where Web-Error is error.html."""
        if not site.get("error") or response.status in (301, 304): return response
        base = "/".join(request.path.split("/", 4)[:4])
        page = await self._fetch(request.child("GET", request.path), f"{base}/{response.status}{site['error']}")
        if not page.ok:
            await page.close()
            return response
        await response.close()
        page.status = response.status
        page.notes["unconditional"] = True
        if "www-authenticate" in response.headers: page.headers["www-authenticate"] = response.headers["www-authenticate"]
        return page

    async def _listing(self, request: Request, stat: ContainerStat, site: dict[str, str], prefix: str) -> Response:
        if not is_true(site.get("listings")):
            if site.get("index"): return await self._error(request, site, answer(404))
            return await self._error(request, site, answer(401))
        request.acl = stat.metadata.get("x-container-read")
        lines = await self._lines(request, prefix, PAGE)
        if not lines:
            asked = await self.application(request.child("HEAD", "/".join(request.path.split("/", 4)[:4]), source="SW"))
            return await self._error(request, site, answer(asked.status if not asked.ok else 404, headers={
                key: value for key, value in asked.headers.items() if key == "www-authenticate"}))
        label = site.get("listings-label")
        title = f"{label or '/'.join(request.path.split('/', 4)[:4])}/{prefix}" if label else request.path
        body = _page(title, prefix, lines, site.get("listings-css", ""), request.query_string if request.authorized_by else "")
        return answer(200, body, HTML, {"vary": "Accept"})


def _page(title: str, prefix: str, lines: list[dict[str, Any]], css: str, query: str) -> str:
    """A listing as a page; `query` goes on with each link, for those who came by a signed address."""
    ending = f"?{query}" if query else ""
    up = "../" * prefix.count("/")
    style = f'<link rel="stylesheet" type="text/css" href="{escape(_css(css, up))}" />' if css else \
        "<style>body{font-family:sans-serif} td{padding:0 1em}</style>"
    rows = [f'<tr class="item"><td class="colname"><a href="../{escape(ending)}">../</a></td><td></td><td></td></tr>'] if prefix else []
    for line in lines:
        name = (line.get("subdir") or line["name"]).removeprefix(prefix)
        if not name: continue
        link = f'<a href="./{escape(quoted(name) + ending)}">{escape(name)}</a>'
        size, date = ("", "") if "subdir" in line else (str(line["bytes"]), line["last_modified"].partition(".")[0].replace("T", " "))
        rows.append(f'<tr class="item"><td class="colname">{link}</td><td class="colsize">{size}</td><td class="coldate">{date}</td></tr>')
    shown = escape(title)
    return (f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>Listing of {shown}</title>{style}</head><body>'
            f'<h1 id="title">Listing of {shown}</h1><table id="listing"><tr id="heading"><th class="colname">Name</th>'
            f'<th class="colsize">Size</th><th class="coldate">Date</th></tr>{"".join(rows)}</table></body></html>')


def _css(css: str, up: str) -> str:
    return css if "://" in css or css.startswith("/") else up + quoted(css)
