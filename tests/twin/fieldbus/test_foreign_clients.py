"""Clients of other makers against our server, each in a process of its own; those not installed are left out."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from twin.fieldbus import ExceptionCode, ModbusRefusal, ModbusServer

UMODBUS = """
import json, socket, sys
from umodbus import conf
from umodbus.client import tcp
from umodbus.exceptions import IllegalDataAddressError, IllegalDataValueError, IllegalFunctionError
conf.SIGNED_VALUES = False
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
def ask(adu):
    try:
        return tcp.send_message(adu, line)
    except (IllegalDataAddressError, IllegalDataValueError, IllegalFunctionError) as refusal:
        return type(refusal).__name__
print(json.dumps({
    "write coil": ask(tcp.write_single_coil(1, 0, 1)),
    "write coils": ask(tcp.write_multiple_coils(1, 0, [1, 1])),
    "write register": ask(tcp.write_single_register(1, 10, 77)),
    "write registers": ask(tcp.write_multiple_registers(1, 0, [1, 0, 60000])),
    "coils": ask(tcp.read_coils(1, 0, 5)),
    "discrete": ask(tcp.read_discrete_inputs(1, 10, 3)),
    "holding": ask(tcp.read_holding_registers(1, 0, 11)),
    "input": ask(tcp.read_input_registers(1, 0, 8)),
    "absent": ask(tcp.read_holding_registers(1, 100, 1)),
    "too high": ask(tcp.write_single_register(1, 0, 9)),
    "denied": ask(tcp.write_single_register(1, 10, 666)),
}))
"""

MODBUS_TK = """
import json, sys
from modbus_tk import defines as d, modbus_tcp
from modbus_tk.modbus import ModbusError
line = modbus_tcp.TcpMaster("127.0.0.1", int(sys.argv[1]), 5)
def ask(*args, **more):
    try:
        return line.execute(1, *args, **more)
    except ModbusError as refusal:
        return refusal.get_exception_code()
print(json.dumps({
    "write coil": ask(d.WRITE_SINGLE_COIL, 0, output_value=1),
    "write coils": ask(d.WRITE_MULTIPLE_COILS, 0, output_value=[1, 1]),
    "write register": ask(d.WRITE_SINGLE_REGISTER, 10, output_value=77),
    "write registers": ask(d.WRITE_MULTIPLE_REGISTERS, 0, output_value=[1, 0, 60000]),
    "coils": ask(d.READ_COILS, 0, 5),
    "discrete": ask(d.READ_DISCRETE_INPUTS, 10, 3),
    "holding": ask(d.READ_HOLDING_REGISTERS, 0, 11),
    "input": ask(d.READ_INPUT_REGISTERS, 0, 8),
    "absent": ask(d.READ_HOLDING_REGISTERS, 100, 1),
    "too high": ask(d.WRITE_SINGLE_REGISTER, 0, output_value=9),
    "denied": ask(d.WRITE_SINGLE_REGISTER, 10, output_value=666),
}))
"""


def asked(rig: Any, command: list[str]) -> subprocess.CompletedProcess[str]:
    """What a client prints; `PORT` in its command is the server's port."""
    take = rig.on_write

    def deny(writes: Any, peer: Any) -> None:
        if any(write.value == 666 for write in writes):
            raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION)
        take(writes, peer)

    rig.station._on_write = deny
    rig.bank.set("CB1.LOCAL", True)

    async def run() -> subprocess.CompletedProcess[str]:
        server = ModbusServer(rig.responder)
        await server.start()
        words = [str(server.port) if word == "PORT" else word for word in command]
        try:
            return await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=30)
        finally:
            await server.stop()

    return asyncio.run(run())


def told_by(rig: Any, module: str, script: str) -> dict[str, Any]:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    done = asked(rig, [sys.executable, "-W", "ignore", "-c", script, "PORT"])
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_umodbus(rig: Any) -> None:
    assert told_by(rig, "umodbus", UMODBUS) == {
        "write coil": 1,
        "write coils": 2,
        "write register": 77,
        "write registers": 3,
        "coils": [1, 1, 0, 0, 0],
        "discrete": [0, 0, 1],
        "holding": [1, 0, 60000, 0, 0, 0, 0, 0, 0, 0, 77],
        "input": [0] * 8,
        "absent": "IllegalDataAddressError",
        "too high": "IllegalDataValueError",
        "denied": "IllegalFunctionError",
    }


def test_modbus_tk(rig: Any) -> None:
    assert told_by(rig, "modbus_tk", MODBUS_TK) == {
        "write coil": [0, 0xFF00],
        "write coils": [0, 2],
        "write register": [10, 77],
        "write registers": [0, 3],
        "coils": [1, 1, 0, 0, 0],
        "discrete": [0, 0, 1],
        "holding": [1, 0, 60000, 0, 0, 0, 0, 0, 0, 0, 77],
        "input": [0] * 8,
        "absent": 2,
        "too high": 3,
        "denied": 1,
    }


def mbpoll(rig: Any, *words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed")
    return asked(rig, ["mbpoll", "-m", "tcp", "-p", "PORT", "-0", "-1", *words])


def test_mbpoll_reads(rig: Any) -> None:
    rig.bank.set("BUS.V", 20.0)
    done = mbpoll(rig, "-t", "3", "-r", "0", "-c", "2", "127.0.0.1")
    assert done.returncode == 0, done.stderr
    assert "[0]: \t2000" in done.stdout


def test_mbpoll_writes_and_is_refused(rig: Any) -> None:
    done = mbpoll(rig, "-t", "4", "-r", "10", "127.0.0.1", "123")
    assert done.returncode == 0, done.stderr
    assert rig.written == [{"MODE": 123}]
    done = mbpoll(rig, "-t", "4", "-r", "10", "127.0.0.1", "666")
    assert "Illegal function" in done.stderr
    assert "Illegal data address" in mbpoll(rig, "-t", "4", "-r", "100", "127.0.0.1", "1").stderr
    assert rig.written == [{"MODE": 123}]
