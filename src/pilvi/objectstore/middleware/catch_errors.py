"""What nobody expected becomes 500 and a line in the log under the transaction's id."""
from __future__ import annotations

import structlog

from pilvi.objectstore.errors import ClientGone
from pilvi.objectstore.proxy.message import Handler, Request, Response, answer
from pilvi.objectstore.proxy.world import World

LOG = structlog.get_logger()


class CatchErrors:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application

    async def __call__(self, request: Request) -> Response:
        try: return await self.application(request)
        except ClientGone: raise
        except Exception:
            LOG.exception("request failed", service="objectstore", method=request.method, path=request.raw_path[:300],
                          trans_id=request.trans_id)
            return answer(500)
