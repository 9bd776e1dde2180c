"""Accounts and containers on their copies: writes to a quorum, reads from the first copy that has it."""
from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from pilvi.core.errors import Failure, NotFound
from pilvi.objectstore.cluster.members import Members, StandIns, down, majority, quorum
from pilvi.objectstore.node.interface import Full, NoQuorum
from pilvi.objectstore.ring.lookup import Device

EVERYWHERE_SECONDS = 60.0


async def write(members: Members, kind: str, path: tuple[str, ...], operation: str, *arguments: Any, stand_ins: bool = False) -> Any:
    """Does it on every copy's device; the first success's result. Raises what a quorum of the copies raises, NoQuorum."""
    ring = members.rings[kind]
    partition, hashed = members.place(ring, *path)
    devices = ring.nodes(partition)
    others = StandIns(members, ring, partition)

    async def one(device: Device) -> Any:
        failure: BaseException = NoQuorum(reason="no device left")
        for place in others.take(device) if stand_ins else (device,):
            try: return await members.call(place, operation, partition, hashed, *arguments)
            except Exception as met:
                failure = met
                if not down(met): raise
        raise failure

    results = await asyncio.gather(*(one(device) for device in devices), return_exceptions=True)
    good = [result for result in results if not isinstance(result, BaseException)]
    if len(good) >= quorum(len(devices)): return any(good) if all(isinstance(one, bool) for one in good) else good[0]
    raise verdict([result for result in results if isinstance(result, BaseException)], len(devices))


async def everywhere(members: Members, path: tuple[str, ...], operation: str, *arguments: Any) -> list[Any]:
    """Does it on every copy of a container; their results. Raises NodeDown when one can't be reached, and what one refuses."""
    ring = members.rings["container"]
    partition, hashed = members.place(ring, *path)
    calls = [members.call(device, operation, partition, hashed, *arguments, seconds=EVERYWHERE_SECONDS) for device in ring.nodes(partition)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException): raise result
    return results


def verdict(failures: list[BaseException], copies: int) -> BaseException:
    """What to tell of a write or read that did not reach its quorum: the refusal that most gave, or NoQuorum."""
    bug = next((failure for failure in failures if not isinstance(failure, Failure)), None)
    if bug: return bug
    refusals = [failure for failure in failures if not down(failure)]
    if refusals and (len(refusals) > copies - quorum(copies) or len(refusals) == len(failures)):
        kind = Counter(type(refusal) for refusal in refusals).most_common(1)[0][0]
        return next(refusal for refusal in refusals if type(refusal) is kind)
    if all(isinstance(failure, Full) for failure in failures): return failures[0]
    return NoQuorum(reason="; ".join(sorted({str(one) for one in failures})))


async def read(members: Members, kind: str, path: tuple[str, ...], operation: str, *arguments: Any) -> Any:
    """The first copy's answer. Raises NoAccount or NoContainer when a majority has none, NoQuorum."""
    ring = members.rings[kind]
    partition, hashed = members.place(ring, *path)
    devices = members.reading_order(ring, partition)
    absent: list[Failure] = []
    failures: list[BaseException] = []
    for device in devices:
        try: return await members.call(device, operation, partition, hashed, *arguments)
        except NotFound as failure:
            absent.append(failure)
            known = failure.facts.get("deleted") or failure.facts.get("timestamp")
            if known and len(absent) >= majority(len(devices)): raise
        except Exception as failure:
            if not down(failure): raise
            failures.append(failure)
    for device, _ in zip(ring.handoffs(partition), devices, strict=False):
        if members.suspected(device): continue
        try: return await members.call(device, operation, partition, hashed, *arguments)
        except NotFound: continue
        except Exception as failure:
            if not down(failure): raise
    if len(absent) >= majority(len(devices)):
        told = [one for one in absent if one.facts.get("deleted") or one.facts.get("timestamp")]
        raise (told or absent)[0]
    raise NoQuorum(reason="; ".join(sorted({str(failure) for failure in failures})))


