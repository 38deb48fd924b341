"""Modbus/TCP Security: mutual TLS, and the role in the certificate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from twin.fieldbus import (
    ExceptionCode,
    FieldbusError,
    ModbusRefusal,
    ModbusServer,
    Refusal,
    ServerLimits,
    TcpModbusClient,
)
from twin.fieldbus.certificates import (
    CertificateFolder,
    CertificateUnusable,
    OwnCertificate,
    Subject,
    read_certificate,
    thumbprint,
)
from twin.fieldbus.modbus.security import client_context, server_context

NOW = datetime.now(UTC)


class Site:
    """A server's and a client's certificates: the server trusts its authority alone, the client the server."""

    def __init__(self, server: CertificateFolder, client: CertificateFolder) -> None:
        self.server, self.client = server, client
        server.trust(server.authority(now=NOW))
        client.trust(server.authority(now=NOW))
        self.own = server.own("gateway", Subject("gateway"), now=NOW, issued=True)

    def issued(self, role: str, *, now: datetime = NOW, days: int = 365) -> OwnCertificate:
        name = f"{role or 'nobody'}-{days}"
        return self.server.own(name, Subject(name, hosts=(), role=role), now=now, issued=True, days=days)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(
        CertificateFolder(tmp_path_factory.mktemp("server")), CertificateFolder(tmp_path_factory.mktemp("client"))
    )


def secured(
    rig: Any,
    site: Site,
    certificate: OwnCertificate | None,
    act: Callable[[TcpModbusClient], Awaitable[Any]],
    *,
    host: str = "127.0.0.1",
    trusting: CertificateFolder | None = None,
) -> tuple[Any, ModbusServer]:
    """Run `act` with a client that proves itself by a certificate; without one, it speaks plain Modbus."""

    async def run() -> tuple[Any, ModbusServer]:
        server = ModbusServer(rig.responder, host=host, tls=server_context(site.own, site.server))
        await server.start()
        context = None if certificate is None else client_context(certificate, trusting or site.client)
        client = TcpModbusClient(host, server.port, tls=context, timeout_s=5)
        try:
            return await act(client), server
        finally:
            await client.close()
            await server.stop()

    return asyncio.run(run())


async def write(client: TcpModbusClient) -> str:
    await client.connect()
    try:
        await client.write_register(10, 7)
    except ModbusRefusal as refusal:
        return refusal.code.name
    return "ok"


async def never(client: TcpModbusClient) -> str:
    """In TLS 1.3 a client whose certificate is refused learns of it by its first request only."""
    with pytest.raises(FieldbusError) as caught:
        await write(client)
    assert not isinstance(caught.value, ModbusRefusal)
    return str(caught.value)


def test_the_role_and_the_certificate_reach_the_station(rig: Any, site: Site) -> None:
    certificate = site.issued("operator")
    told, server = secured(rig, site, certificate, write)
    assert told == "ok"
    (_, peer) = rig.requests[0]
    assert (peer.role, peer.protocol, peer.user) == ("operator", "modbus", "")
    assert peer.certificate == thumbprint(read_certificate(certificate.certificate))
    assert server.stats.untrusted == 0


def test_a_wrong_role_is_refused_by_whoever_decides(rig: Any, site: Site) -> None:
    asked: list[str] = []

    def only_operators(_writes: Any, peer: Any) -> None:
        asked.append(peer.role)
        if peer.role != "operator":
            raise Refusal("not_allowed", f"a `{peer.role}` may not write")

    rig.station._on_write = only_operators
    assert secured(rig, site, site.issued("guest"), write)[0] == ExceptionCode.ILLEGAL_FUNCTION.name
    assert secured(rig, site, site.issued(""), write)[0] == ExceptionCode.ILLEGAL_FUNCTION.name
    assert secured(rig, site, site.issued("operator"), write)[0] == "ok"
    assert asked == ["guest", "", "operator"]


def test_nobody_without_a_trusted_certificate_gets_in(rig: Any, site: Site, capfd: Any, caplog: Any) -> None:
    rogue = CertificateFolder(site.client.folder / "rogue")
    strangers = [
        rogue.own("by-itself", Subject("gateway", role="operator"), now=NOW),
        rogue.own("by-a-rogue", Subject("gateway", role="operator"), now=NOW, issued=True),
        site.issued("operator", now=NOW - timedelta(days=60), days=30),
        site.issued("operator", now=NOW + timedelta(days=60), days=31),
    ]
    for stranger in strangers:
        _, server = secured(rig, site, stranger, never)
        assert server.stats.untrusted == 1
        assert server.stats.requests == 0
    _, server = secured(rig, site, None, never)
    assert server.stats.untrusted == 1
    assert rig.requests == []
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


def test_one_without_any_certificate_is_turned_away(rig: Any, site: Site) -> None:
    async def act(client: TcpModbusClient) -> str:
        import ssl

        bare = ssl.create_default_context(cafile=str(site.server.authority(now=NOW)))
        client._tls = bare
        return await never(client)

    _, server = secured(rig, site, site.issued("operator"), act)
    assert server.stats.untrusted == 1


def test_a_client_trusts_no_other_server(rig: Any, site: Site) -> None:
    elsewhere = CertificateFolder(site.client.folder / "elsewhere")
    elsewhere.trust(elsewhere.authority(now=NOW))
    told, server = secured(rig, site, site.issued("operator"), never, trusting=elsewhere)
    assert "do not trust each other" in told
    assert server.stats.requests == 0
    told, _ = secured(rig, site, site.issued("operator"), never, host="127.0.0.2")
    assert "do not trust each other" in told, "the certificate names 127.0.0.1"


def test_one_who_signs_itself_may_be_trusted_alone(rig: Any, site: Site, tmp_path: Any) -> None:
    server = CertificateFolder(tmp_path)
    friend = site.client.own("friend", Subject("friend", role="engineer"), now=NOW)
    server.trust(friend.certificate)
    own = server.own("gateway", Subject("gateway"), now=NOW)
    site.client.trust(own.certificate)
    lone = Site.__new__(Site)
    lone.server, lone.client, lone.own = server, site.client, own
    assert secured(rig, lone, friend, write)[0] == "ok"
    assert rig.requests[0][1].role == "engineer"
    secured(rig, lone, site.issued("operator"), never)


def test_a_revoked_certificate_is_worth_nothing(rig: Any, site: Site, tmp_path: Any) -> None:
    certificate, other = site.issued("operator"), site.issued("engineer")
    key = serialization.load_pem_private_key((site.server.own_folder / "authority-key.pem").read_bytes(), None)
    revoked = (
        x509.RevokedCertificateBuilder()
        .serial_number(read_certificate(certificate.certificate).serial_number)
        .revocation_date(NOW)
        .build()
    )
    revocations = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(read_certificate(site.server.authority(now=NOW)).subject)
        .last_update(NOW - timedelta(hours=1))
        .next_update(NOW + timedelta(days=1))
        .add_revoked_certificate(revoked)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    listed = site.server.crl / "authority.pem"
    listed.write_bytes(revocations.public_bytes(serialization.Encoding.PEM))
    try:
        secured(rig, site, certificate, never)
        assert secured(rig, site, other, write)[0] == "ok"
    finally:
        listed.unlink()


def test_one_who_shakes_hands_for_ever_is_dropped_and_takes_one_place_only(rig: Any, site: Site) -> None:
    async def run() -> None:
        limits = ServerLimits(connections_per_address=2, handshake_s=0.3)
        server = ModbusServer(rig.responder, tls=server_context(site.own, site.server), limits=limits)
        await server.start()
        streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(5)]
        for _, writer in streams:
            with contextlib.suppress(ConnectionError):
                writer.write(b"\x16\x03\x01")
                await writer.drain()
        for reader, writer in streams:
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        assert (server.stats.refused, server.stats.accepted, server.stats.untrusted) == (3, 2, 2)
        assert server.connections == 0
        waiting = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.sleep(0.05)
        assert server.connections == 1
        await server.stop()
        assert server.connections == 0
        waiting[1].close()

    asyncio.run(run())


def test_what_cannot_be_used_is_told(site: Site, tmp_path: Any) -> None:
    folder = CertificateFolder(tmp_path)
    (folder.trusted / "none.pem").write_text("nothing")
    with pytest.raises(CertificateUnusable, match=r"none.pem` is no certificate"):
        server_context(site.own, folder)
    with pytest.raises(CertificateUnusable, match="and its key cannot be used"):
        client_context(OwnCertificate(site.own.certificate, folder.trusted / "none.pem"), folder)
