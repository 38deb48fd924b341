"""Files that clients open, read, write and close."""

from __future__ import annotations

import asyncio

import pytest
from asyncua import ua

from tests.twin.fieldbus.opcua.conftest import tag


def as_user(rig, test, user="erik"):
    async def run():
        async with await rig.secured(user) as client:
            return await test(client)

    return asyncio.run(run())


class Remote:
    """A file at the other end."""

    def __init__(self, client, name):
        self._client, self._name = client, name

    async def ask(self, method, *arguments):
        request = ua.CallMethodRequest()
        request.ObjectId = tag(f"#Files/{self._name}")
        request.MethodId = tag(f"#Files/{self._name}/{method}")
        request.InputArguments = [ua.Variant(value, kind) for value, kind in arguments]
        (result,) = await self._client.uaclient.call([request])
        result.StatusCode.check()
        return result.OutputArguments[0].Value if result.OutputArguments else None

    async def open(self, mode):
        return await self.ask("Open", (mode, ua.VariantType.Byte))

    async def read(self, handle, length):
        return await self.ask("Read", (handle, ua.VariantType.UInt32), (length, ua.VariantType.Int32))

    async def write(self, handle, content):
        return await self.ask("Write", (handle, ua.VariantType.UInt32), (content, ua.VariantType.ByteString))

    async def close(self, handle):
        return await self.ask("Close", (handle, ua.VariantType.UInt32))


def test_a_file_is_read_in_parts(rig):
    async def test(client):
        file = Remote(client, "manual")
        handle = await file.open(1)
        size = await client.get_node(tag("#Files/manual#Size")).read_value()
        parts = []
        while part := await file.read(handle, 90_000):
            parts.append(part)
        await file.close(handle)
        return size, b"".join(parts), len(parts)

    size, content, parts = as_user(rig, test, "olga")
    assert (size, content, parts) == (200_000, b"x" * 200_000, 4)


def test_a_file_is_replaced_when_it_is_closed_and_not_before(rig):
    async def test(client):
        file = Remote(client, "program")
        handle = await file.open(2 | 4)
        await file.write(handle, b"new ")
        await file.write(handle, b"program")
        before = rig.plant.files["program"]
        await file.close(handle)
        return before

    assert as_user(rig, test) == b"old program"
    ((name, content, peer),) = rig.plant.stored
    assert (name, content, peer.user, peer.role) == ("program", b"new program", "erik", "engineer")


def test_who_vanishes_changes_nothing(rig):
    async def test(client):
        handle = await Remote(client, "program").open(2)
        await Remote(client, "program").write(handle, b"half")

    as_user(rig, test)
    assert rig.plant.files["program"] == b"old program"

    async def opened(client):
        return await client.get_node(tag("#Files/program#OpenCount")).read_value()

    assert as_user(rig, opened) == 0


def test_who_may_not_download_is_refused(rig):
    async def test(client):
        handle = await Remote(client, "program").open(2)
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await Remote(client, "program").close(handle)

    as_user(rig, test, "maria")
    assert rig.plant.files["program"] == b"old program"


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [("manual", 2, "BadNotWritable"), ("program", 0, "BadTypeMismatch"), ("program", 1 | 4, "BadTypeMismatch")],
)
def test_a_wrong_open(rig, name, mode, expected):
    async def test(client):
        with pytest.raises(ua.UaStatusCodeError) as raised:
            await Remote(client, name).open(mode)
        return ua.StatusCode(raised.value.code).name

    assert as_user(rig, test) == expected


def test_bounds(rig):
    async def test(client):
        file = Remote(client, "program")
        handles = [await file.open(2) for _ in range(4)]
        with pytest.raises(ua.uaerrors.BadResourceUnavailable):
            await file.open(2)
        with pytest.raises(ua.uaerrors.BadResourceUnavailable):
            await file.write(handles[0], b"x" * 100_001)
        with pytest.raises(ua.uaerrors.BadInvalidState):
            await file.read(handles[0], 1)
        with pytest.raises(ua.uaerrors.BadTypeMismatch):
            await file.close(99)

    as_user(rig, test)


def test_one_session_cannot_use_the_handle_of_another(rig):
    async def test(client):
        handle = await Remote(client, "manual").open(1)
        async with await rig.secured("maria") as other:
            with pytest.raises(ua.uaerrors.BadTypeMismatch):
                await Remote(other, "manual").read(handle, 1)

    as_user(rig, test)
