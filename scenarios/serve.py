"""Serves one twin live, on the wall clock, to any client that comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from scenarios.audit_file import ServedAudit
from scenarios.exchange import Exchanged, Hangup, PolicyExchange
from scenarios.player import Isolation, checked_start, new_nursery, policy_file
from twin.assembly import Journal, Twin
from twin.core import NS_PER_S, Pacer, find_plant
from twin.fieldbus import FieldbusError, ServerLimits, TcpWire

Line = Callable[[str], None]

# Per connection on the SCADA side; a control room polls a few times a second.
REQUESTS_PER_S, BURST = 200.0, 100

_FOREVER_NS = 10 * 366 * 86_400 * NS_PER_S


@dataclass(frozen=True)
class ServeSettings:
    """How a twin is served; into `out` go the audit and a journal of what clients asked for."""

    plant: str
    policy: str = "enforcing"
    host: str = "127.0.0.1"
    modbus_port: int = 5020
    field_port: int = 5021
    speed: float = 1.0
    seed: int = 1
    isolation: Isolation = "none"
    out: Path | None = None
    image: Path | None = None
    require_signed: bool = False


async def serve(settings: ServeSettings, *, as_json: bool = False) -> None:
    """Serve until SIGINT or SIGTERM, then close everything; at SIGHUP read the policy again and exchange it.

    Raises:
        PlantError: There is no such plant.
        PolicyError, ImageError: Policy or image is wrong; nothing was started.
        FieldbusError: A port is in use.
        IsolationUnavailable: Tasks shall be isolated, and cannot be on this machine.
    """
    kind = find_plant(settings.plant)
    checked = checked_start(kind, settings.policy, image=settings.image, require_signed=settings.require_signed)
    strangers = TcpWire(limits=ServerLimits(requests_per_s=REQUESTS_PER_S, burst=BURST))
    nursery = new_nursery(settings.isolation)
    twin = Twin(
        kind,
        checked.image,
        checked.policy,
        wire=TcpWire(),
        scada_wire=strangers,
        seed=settings.seed,
        live=True,
        nursery=nursery,
        policy_version=checked.statement.version,
    )
    audit = ServedAudit(settings.out)
    pacer = Pacer([twin.clock], speed=settings.speed, on_instant=audit.drain)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, pacer.stop)
    try:
        with _journal(settings.out) as journal:
            await _connect(twin, settings, lambda asked: journal(json.dumps(asdict(asked))))
            checked.started()
            audit.open(twin)
            twin.start()
            exchange = PolicyExchange(
                twin.controller,
                policy_file(checked.image.folder, settings.policy),
                checked,
                require_signed=settings.require_signed,
                tell=partial(_tell_exchange, as_json=as_json),
            )
            async with _at_hangup(exchange, pacer):
                _tell(settings, twin, as_json=as_json)
                await pacer.run(_FOREVER_NS)
    finally:
        audit.close(twin.clock.now_ns)
        with contextlib.suppress(ConnectionError):
            await twin.close()
        if nursery is not None:
            nursery.close()


@contextlib.asynccontextmanager
async def _at_hangup(exchange: PolicyExchange, pacer: Pacer) -> AsyncIterator[None]:
    """While inside, SIGHUP exchanges the policy; the end of the terminal ends the serving."""
    hangup = Hangup()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: pacer.stop() if hangup.is_the_end() else exchange.ask())
    serving = loop.create_task(exchange.serve())
    try:
        yield
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


@contextlib.contextmanager
def _journal(folder: Path | None) -> Iterator[Line]:
    """What writes a line of the journal; without a folder nothing is written."""
    if folder is None:
        yield lambda _: None
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "journal.jsonl").open("x", 1) as journal:
        yield lambda line: print(line, file=journal)


async def _connect(twin: Twin, settings: ServeSettings, journal: Journal) -> None:
    try:
        await twin.connect(
            field_port=settings.field_port, scada_port=settings.modbus_port, host=settings.host, journal=journal
        )
    except FieldbusError as failure:
        hint = "the ports are chosen by `--modbus-port` and `--field-port`, the address by `--host`"
        raise FieldbusError(f"{failure}; {hint}") from failure


def _tell(settings: ServeSettings, twin: Twin, *, as_json: bool) -> None:
    endpoints = {"modbus": str(twin.scada_endpoint), "field": str(twin.field_endpoint)}
    if as_json:
        told = {
            "schema": 1,
            "plant": settings.plant,
            "policy": settings.policy,
            "policy_sha256": twin.policy.sha256,
            "policy_version": twin.controller.kernel.in_force.policy_version,
            "image_sha256": twin.image.sha256,
            "pid": os.getpid(),
            "isolation": twin.isolation,
            "speed": settings.speed,
            "reproducible": False,
            "endpoints": endpoints,
        }
        print(json.dumps(told), flush=True)
        return
    print(f"{twin.kind.title}, {settings.policy} policy, at {settings.speed:g} times real time")
    print(f"  SCADA side  {endpoints['modbus']}")
    print(f"  plant side  {endpoints['field']} (the plant's own terminals; no policy stands before them)")
    print(
        f"stop with Ctrl-C; `kill -HUP {os.getpid()}` exchanges the policy for what its file holds then",
        file=sys.stderr,
    )
    sys.stdout.flush()


def _tell_exchange(exchanged: Exchanged, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(exchanged.as_json()), flush=True)
    else:
        print(exchanged, file=sys.stderr)
