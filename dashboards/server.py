"""The page's server: Dash on FastAPI, the feed's websocket, and the life of the worker."""

from __future__ import annotations

import asyncio
import signal
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import Response

from dashboards.frames import Feed, Viewer
from dashboards.layout import mount_page
from dashboards.link import WorkerLink
from dashboards.orders import MAX_ORDER_BYTES, Order, OrderError, parse_order
from dashboards.session import POLICIES, SessionBrief
from dashboards.substation import diagram

_POLICY_VIOLATION: Final = 1008
_GRACE_WALL_S: Final = 1


class AddressInUse(Exception):
    """The page's port cannot be had; the message names it and the option that chooses another."""


@dataclass(frozen=True)
class Address:
    """Where the page is served; port 0 takes any free one."""

    host: str
    port: int


def bind(address: Address) -> socket.socket:
    """A socket bound to `address`.

    Raises:
        AddressInUse: The port is taken, or the host is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.host, address.port))
        bound.listen()
    except OSError as failure:
        bound.close()
        raise AddressInUse(
            f"cannot serve the page on `{address.host}:{address.port}`: {failure.strerror};"
            " choose another with --port, or --port 0 for any free one"
        ) from failure
    return bound


async def serve_page(brief: SessionBrief, address: Address) -> None:
    """Serve the live page until SIGINT or SIGTERM, then end the worker too.

    Raises:
        AddressInUse: The port cannot be had.
        WorkerFailed: The session cannot begin.
    """
    bound = bind(address)
    feed = Feed()
    link = WorkerLink(brief, feed.take)
    try:
        await link.start()
        await _serve(application(feed, link), bound, address.host)
    finally:
        await link.close()
        bound.close()


def application(feed: Feed, link: WorkerLink) -> FastAPI:
    """The web application: the page, its diagrams, and the feed."""
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @web.get("/diagram/{side}.svg")
    async def side_diagram(side: str) -> Response:
        if side not in POLICIES:
            return Response(status_code=404)
        return Response(diagram(side), media_type="image/svg+xml")

    @web.websocket("/frames")
    async def frames(page: WebSocket) -> None:
        if not _same_origin(page):
            await page.close(_POLICY_VIOLATION)
            return
        await page.accept()
        await _attend(page, feed, link)

    mount_page(web)
    return web


def _same_origin(page: WebSocket) -> bool:
    """Whether the page was served from here: no other site may steer the session of a visitor."""
    return urlsplit(page.headers.get("origin", "")).netloc == page.headers.get("host")


async def _attend(page: WebSocket, feed: Feed, link: WorkerLink) -> None:
    """Send frames to one page and hear its orders until it goes."""
    viewer = feed.join()
    sending = asyncio.create_task(_send(page, viewer))
    try:
        while True:
            order = _order(await page.receive_text())
            if order is not None:
                link.order(order)
    except (WebSocketDisconnect, KeyError):  # KeyError: it sent bytes where text belongs
        pass
    finally:
        feed.leave(viewer)
        sending.cancel()


async def _send(page: WebSocket, viewer: Viewer) -> None:
    while True:
        frame = await viewer.next()
        try:
            await page.send_text(frame)
        except (WebSocketDisconnect, RuntimeError):  # gone between two frames
            return


def _order(text: str) -> Order | None:
    """What the page asked for; None for what is no order, which our own page never sends."""
    try:
        return parse_order(text)
    except OrderError:
        return None


async def _serve(web: FastAPI, bound: socket.socket, host: str) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            web,
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=MAX_ORDER_BYTES,
            timeout_graceful_shutdown=_GRACE_WALL_S,
        )
    )
    # The server raises a caught signal once more when it has shut down; the end is clean then, and needs no more.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.02)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{bound.getsockname()[1]}", flush=True)
    await serving
