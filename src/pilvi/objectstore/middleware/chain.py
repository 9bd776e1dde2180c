"""The chain, from the client's side to the store's. Each link is one file; what stands above another sees what that one makes."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.middleware.archive import Archive
from pilvi.objectstore.middleware.bulk_delete import BulkDelete
from pilvi.objectstore.middleware.catch_errors import CatchErrors
from pilvi.objectstore.middleware.container_sync import ContainerSync
from pilvi.objectstore.middleware.copy import Copy
from pilvi.objectstore.middleware.cors import Cors
from pilvi.objectstore.middleware.dlo import DynamicLargeObjects
from pilvi.objectstore.middleware.domain_remap import DomainRemap
from pilvi.objectstore.middleware.encryption import Encryption
from pilvi.objectstore.middleware.formpost import FormPost
from pilvi.objectstore.middleware.gatekeeper import Gatekeeper
from pilvi.objectstore.middleware.info import Info
from pilvi.objectstore.middleware.keystone import Keystone
from pilvi.objectstore.middleware.listing_formats import ListingFormats
from pilvi.objectstore.middleware.object_versioning import ObjectVersioning
from pilvi.objectstore.middleware.quotas import AccountQuotas, ContainerQuotas
from pilvi.objectstore.middleware.ratelimit import RateLimit
from pilvi.objectstore.middleware.recon import Recon
from pilvi.objectstore.middleware.s3.api import S3
from pilvi.objectstore.middleware.slo import StaticLargeObjects
from pilvi.objectstore.middleware.staticweb import StaticWeb
from pilvi.objectstore.middleware.symlink import Symlinks
from pilvi.objectstore.middleware.tempauth import TempAuth
from pilvi.objectstore.middleware.tempurl import TempURL
from pilvi.objectstore.middleware.usage import Usage
from pilvi.objectstore.middleware.versioned_writes import VersionedWrites
from pilvi.objectstore.proxy.conditional import Conditional
from pilvi.objectstore.proxy.end import End
from pilvi.objectstore.proxy.message import Handler, Request, Response, refusal
from pilvi.objectstore.proxy.world import World

Link = Callable[[Handler, World], Handler]
ORDER: Sequence[Link] = (
    CatchErrors,
    Gatekeeper,
    Info,
    DomainRemap,
    Cors,
    ListingFormats,
    ContainerSync,
    TempURL,
    FormPost,
    S3,
    TempAuth,
    Keystone,
    Usage,
    Recon,
    RateLimit,
    BulkDelete,
    Archive,
    StaticWeb,
    Conditional,
    Copy,
    ContainerQuotas,
    AccountQuotas,
    StaticLargeObjects,
    DynamicLargeObjects,
    VersionedWrites,
    ObjectVersioning,
    Symlinks,
    Encryption,
)


def build(world: World, order: Sequence[Link] = ORDER) -> Handler:
    """The chain as one function. A refusal that a link raises is a response for those above it."""
    handler: Handler = _guarded(End(world))
    for link in reversed(order): handler = _guarded(link(handler, world))
    return handler


def inner(world: World) -> Handler:
    """The part below authentication, for what the store itself does to objects as its users see them."""
    return build(world, ORDER[ORDER.index(StaticLargeObjects):])


def _guarded(handler: Handler) -> Handler:
    async def call(request: Request) -> Response:
        try: return await handler(request)
        except Refused as failure: return refusal(failure)

    return call
