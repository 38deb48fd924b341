"""The filter, read as the kernel reads it: an interpreter of classic BPF, and both architectures."""

import errno

import pytest

from secureos.kernel.isolation import machine, seccomp

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
ARCHITECTURES = [machine._X86_64, machine._AARCH64]


def verdict(program, architecture, number, arguments=(0, 0, 0, 0, 0, 0)):
    words = {0: number, 4: architecture}
    for at, argument in enumerate(arguments):
        words[16 + 8 * at] = argument & 0xFFFFFFFF
        words[20 + 8 * at] = argument >> 32
    at, loaded = 0, 0
    while True:
        code, then, otherwise, constant = program[at]
        at += 1
        if code == 0x20:
            loaded = words[constant]
        elif code == 0x06:
            return constant
        else:
            holds = {0x15: loaded == constant, 0x35: loaded >= constant, 0x45: bool(loaded & constant)}[code]
            at += then if holds else otherwise


@pytest.mark.parametrize("here", ARCHITECTURES)
def test_only_what_is_listed_passes(here):
    program = seccomp.assemble(here)
    conditional = {here.numbers[name] for name in ("ioctl", "fcntl", "setsockopt", "mmap", "mprotect")}
    plain = {here.numbers[name] for name in seccomp._PLAIN if name in here.numbers}
    for number in range(600):
        if number not in conditional:
            assert verdict(program, here.audit, number) == (ALLOW if number in plain else REFUSE), number


def test_nothing_listed_opens_starts_or_signals():
    for name in ("open", "openat", "socket", "connect", "clone", "fork", "execve", "kill", "ptrace", "prctl", "dup"):
        assert name not in seccomp._PLAIN


@pytest.mark.parametrize("here", ARCHITECTURES)
def test_conditions_on_arguments(here):
    program = seccomp.assemble(here)

    def ask(name, argument, value):
        arguments = [0] * 6
        arguments[argument] = value
        return verdict(program, here.audit, here.numbers[name], arguments)

    assert ask("ioctl", 1, 0x5421) == ALLOW
    assert ask("ioctl", 1, 0x5413) == REFUSE
    for command in range(12):
        assert ask("fcntl", 1, command) == (ALLOW if command in (1, 2, 3, 4) else REFUSE)
    assert ask("fcntl", 1, 1030) == REFUSE  # F_DUPFD_CLOEXEC
    assert ask("setsockopt", 1, 6) == ALLOW
    assert ask("setsockopt", 1, 1) == REFUSE
    for name in ("mmap", "mprotect"):
        assert ask(name, 2, 3) == ALLOW
        assert ask(name, 2, 4) == REFUSE
        assert ask(name, 2, 7) == REFUSE


@pytest.mark.parametrize("here", ARCHITECTURES)
def test_another_architecture_ends_the_process(here):
    program = seccomp.assemble(here)
    assert verdict(program, 0x40000003, here.numbers["read"]) == KILL  # 32-bit x86


def test_calls_of_the_x32_interface_are_refused():
    program = seccomp.assemble(machine._X86_64)
    assert verdict(program, machine._X86_64.audit, 0x40000000) == REFUSE


def test_every_jump_stays_within_the_program():
    for here in ARCHITECTURES:
        program = seccomp.assemble(here)
        assert len(program) < 4096
        for at, (code, then, otherwise, _) in enumerate(program):
            assert code == 0x06 or at + 1 + max(then, otherwise) < len(program)
            assert max(then, otherwise) < 256
