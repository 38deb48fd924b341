"""Who comes in and who does not: channels, certificates, users, tokens."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest
from asyncua import Client, ua
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import encrypt_asymmetric

from tests.twin.fieldbus.opcua.conftest import PASSWORD, tag
from tests.twin.fieldbus.opcua.people import revocation_list
from twin.fieldbus.opcua.internal import GuardedServer

POLICIES = [
    f"{policy},{mode}"
    for policy in ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
    for mode in ("Sign", "SignAndEncrypt")
]


def connect(client: Client) -> str:
    """What becomes of an attempt to connect: who one is, or by which code it was refused."""

    async def run():
        try:
            async with client:
                await client.get_node(tag("T1.L")).read_value()
        except ua.UaStatusCodeError as error:
            return ua.StatusCode(error.code).name
        except (ConnectionError, TimeoutError) as error:
            return type(error).__name__
        return "in"

    return asyncio.run(run())


def secured(rig, *arguments, **more) -> str:
    async def run():
        return await rig.secured(*arguments, **more)

    return connect(asyncio.run(run()))


class TestChannels:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_each_policy_and_mode(self, rig, policy):
        assert secured(rig, "maria", policy=policy) == "in"

    def test_all_of_them_are_offered_and_no_other(self, rig):
        async def run():
            return await Client(rig.url).connect_and_get_server_endpoints()

        endpoints = asyncio.run(run())
        offered = {(e.SecurityPolicyUri.rpartition("#")[2], e.SecurityMode.name) for e in endpoints}
        names = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
        assert offered == {(n, m) for n in names for m in ("Sign", "SignAndEncrypt")} | {("None", "None_")}

    def test_without_leave_no_session_is_held_over_an_unsecured_channel(self, rig, monkeypatch):
        door = rig.server._roster.door
        secured_only = [p for p in door.policies if p.mode != ua.MessageSecurityMode.None_]
        monkeypatch.setattr(door, "policies", secured_only)
        assert connect(rig.plain()) == "BadSecurityPolicyRejected"

        async def discover():
            return await Client(rig.url).connect_and_get_server_endpoints()

        assert asyncio.run(discover())


class TestCertificates:
    def test_a_stranger_is_put_aside_for_a_person_to_look_at(self, rig):
        stranger = rig.person("stranger", trusted=False)
        assert secured(rig, whom=stranger) == "BadCertificateUntrusted"
        assert stranger.der in [path.read_bytes() for path in (rig.folder / "rejected").glob("*")]
        rig.trust(stranger)
        assert secured(rig, whom=stranger) == "in"
        rig.distrust(stranger)
        assert secured(rig, whom=stranger) == "BadCertificateUntrusted"

    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            ({"days": (-10, -1)}, "BadCertificateTimeInvalid"),
            ({"days": (5, 10)}, "BadCertificateTimeInvalid"),
            ({"client": False}, "BadCertificateUseNotAllowed"),
        ],
    )
    def test_a_trusted_certificate_must_hold_good(self, rig, how, expected):
        someone = rig.person(f"someone-{expected}-{len(str(how))}", trusted=True, **how)
        assert secured(rig, whom=someone) == expected

    def test_who_an_authority_vouches_for_comes_in_until_it_takes_that_back(self, rig):
        authority = rig.person("authority", trusted=True, authority=True)
        issued = rig.person("issued", trusted=False, issuer=authority)
        assert secured(rig, whom=issued) == "in"
        crl = rig.folder / "crl" / "authority.crl"
        crl.write_bytes(revocation_list(authority, issued))
        assert secured(rig, whom=issued) == "BadCertificateRevoked"
        crl.unlink()

    def test_another_application_cannot_use_the_certificate(self, rig):
        async def run():
            client = await rig.secured()
            client.application_uri = "urn:test:impostor"
            return client

        assert connect(asyncio.run(run())) == "BadCertificateUriInvalid"

    def test_the_host_is_looked_at_where_that_is_asked_for(self, rig, monkeypatch):
        elsewhere = rig.person("elsewhere", trusted=True, address="10.9.8.7")
        assert secured(rig, whom=elsewhere) == "in"
        monkeypatch.setattr(rig.server._roster.door._trust, "check_host", True)
        assert secured(rig, whom=elsewhere) == "BadCertificateHostNameInvalid"
        assert secured(rig) == "in"

    def test_a_clock_that_is_a_year_ahead_finds_certificates_expired(self, rig):
        rig.wall.ahead_s = 366 * 24 * 3600.0
        assert secured(rig) == "BadCertificateTimeInvalid"

    def test_a_client_whose_clock_is_wrong_is_served(self, rig):
        """The time in a request's header is the client's own affair (part 4, clause 7.33)."""

        async def run():
            async with rig.plain() as client:
                protocol = client.uaclient.protocol
                set_up = protocol._setup_request_header

                def back_in_time(header, timeout=1):
                    set_up(header, timeout)
                    header.Timestamp = datetime(1999, 1, 1, tzinfo=UTC)

                protocol._setup_request_header = back_in_time
                return await client.get_node(tag("T1.L")).read_value()

        assert asyncio.run(run()) == 0.0


class TestUsers:
    @pytest.mark.parametrize(
        ("user", "password", "expected"),
        [
            ("maria", PASSWORD, "in"),
            ("maria", "wrong", "BadUserAccessDenied"),
            ("nobody", PASSWORD, "BadUserAccessDenied"),
            ("", "", "in"),
        ],
    )
    def test_by_name_and_password(self, rig, user, password, expected):
        rig.wall.ahead_s = 10_000.0
        assert secured(rig, user, password) == expected

    def test_by_certificate(self, rig):
        async def run(whom):
            client = await rig.secured("")
            await client.load_client_certificate(str(whom.certificate))
            await client.load_private_key(str(whom.key))
            async with client:
                await client.get_node(tag("SECRET")).read_value()
            return "in"

        assert asyncio.run(run(rig.engineer)) == "in"
        unknown = rig.person("unknown", trusted=True)
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            asyncio.run(run(unknown))

    def test_a_thousand_wrong_passwords_lock_out_their_sender_alone(self, rig):
        """The wait binds the pair of user and address; most of the thousand are not even looked at."""
        door = rig.server._roster.door
        gatekeeper = door._gatekeeper

        async def attack():
            for number in range(1000):
                assert await gatekeeper.signed_in("maria", f"guess {number}", "10.0.0.66") is None

        async def still_in():
            return (
                await gatekeeper.signed_in("maria", PASSWORD, "10.0.0.66"),
                await gatekeeper.signed_in("maria", PASSWORD, "10.0.0.7"),
                await gatekeeper.signed_in("erik", PASSWORD, "10.0.0.66"),
            )

        began = time.monotonic()
        rig.run(attack())
        assert time.monotonic() - began < 30
        locked, elsewhere, another = rig.run(still_in())
        assert locked is None
        assert elsewhere is not None
        assert another is not None
        rig.wall.ahead_s = 400.0
        assert rig.run(still_in())[0] is not None

    def test_a_password_is_not_taken_in_the_clear(self, rig):
        token = ua.UserNameIdentityToken(UserName="maria", Password=PASSWORD.encode())
        with pytest.raises(Exception, match="Service Error") as raised:
            GuardedServer.password(rig.server._server, token, b"n" * 32, encrypted=False)
        assert raised.value.code == ua.StatusCodes.BadIdentityTokenRejected

    def test_an_encrypted_password_counts_once(self, rig):
        server = rig.server._server
        policy = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"
        nonce = b"n" * 32
        plain = (len(PASSWORD) + 32).to_bytes(4, "little") + PASSWORD.encode() + nonce
        secret, algorithm = encrypt_asymmetric(server.certificate.public_key(), plain, policy)
        token = ua.UserNameIdentityToken(UserName="maria", Password=secret, EncryptionAlgorithm=algorithm)
        assert server.password(token, nonce, encrypted=False) == PASSWORD
        with pytest.raises(Exception, match="Service Error") as raised:
            server.password(token, b"m" * 32, encrypted=False)
        assert raised.value.code == ua.StatusCodes.BadIdentityTokenInvalid

    def test_withdrawn_padding_is_not_taken(self, rig):
        server = rig.server._server
        secret = uacrypto.encrypt_rsa15(server.certificate.public_key(), b"\x04\0\0\0abcd")
        token = ua.UserNameIdentityToken(
            UserName="maria", Password=secret, EncryptionAlgorithm="http://www.w3.org/2001/04/xmlenc#rsa-1_5"
        )
        with pytest.raises(Exception, match="Service Error"):
            server.password(token, b"", encrypted=False)


class TestTokens:
    def test_tokens_cannot_be_guessed(self, rig):
        async def run():
            tokens = []
            for _ in range(3):
                async with rig.plain() as client:
                    tokens.append(client.uaclient.session.authentication_token)
            return tokens

        tokens = asyncio.run(run())
        assert len({t.Identifier for t in tokens}) == 3
        assert all(t.NodeIdType == ua.NodeIdType.ByteString and len(t.Identifier) == 32 for t in tokens)

    def test_a_stolen_token_is_worth_nothing_on_another_channel(self, rig):
        async def run():
            async with await rig.secured("erik") as victim, rig.plain() as thief:
                stolen = victim.uaclient.session.authentication_token
                thief.uaclient.session.restore_authentication_token(stolen)
                with pytest.raises(ua.uaerrors.BadSessionIdInvalid):
                    await thief.get_node(tag("SECRET")).read_value()
                with pytest.raises(ua.uaerrors.BadSessionIdInvalid):
                    await thief.activate_session()
                return await victim.get_node(tag("SECRET")).read_value()

        assert asyncio.run(run()) == 0.0

    def test_a_stolen_token_cannot_be_activated_by_another_application(self, rig):
        other = rig.person("other", trusted=True)

        async def run():
            async with await rig.secured("erik") as victim:
                client = await rig.secured("erik", whom=other)
                await client.connect_sessionless()
                try:
                    params = ua.ActivateSessionParameters()
                    params.UserIdentityToken = ua.AnonymousIdentityToken(PolicyId="anonymous")
                    request = ua.ActivateSessionRequest(Parameters=params)
                    request.RequestHeader.AuthenticationToken = victim.uaclient.session.authentication_token
                    with pytest.raises(ua.uaerrors.BadSessionIdInvalid):
                        await raw(client, request)
                finally:
                    await client.disconnect_sessionless()
                return await victim.get_node(tag("SECRET")).read_value()

        assert asyncio.run(run()) == 0.0

    def test_a_channel_without_a_session_shows_nothing(self, rig):
        async def run():
            client = rig.plain()
            await client.connect_sessionless()
            try:
                with pytest.raises(ua.uaerrors.BadSessionIdInvalid):
                    await raw(client, ua.ReadRequest())
            finally:
                await client.disconnect_sessionless()

        asyncio.run(run())

    def test_a_session_that_is_not_activated_shows_nothing(self, rig):
        async def run():
            client = rig.plain()
            await client.connect_sessionless()
            try:
                await client.create_session()
                with pytest.raises(ua.uaerrors.BadSessionNotActivated):
                    await client.get_node(tag("T1.L")).read_value()
            finally:
                await client.close_session()
                await client.disconnect_sessionless()

        asyncio.run(run())


async def raw(client: Client, request):
    """Send a request with its own header's token, whatever session the client has."""
    protocol = client.uaclient.protocol
    protocol.authentication_token = request.RequestHeader.AuthenticationToken
    return await protocol.send_request(request, timeout=10)
