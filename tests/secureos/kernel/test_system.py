"""What a program is handed, and that nothing else is within its reach by ordinary means."""

import types

import pytest

from secureos.kernel import Kernel, SecurityModule, Task
from secureos.kernel.activation import Activation
from secureos.kernel.handles import Handle, Handles, HandleTable
from secureos.kernel.operations import HandleOperations
from tests.secureos.kernel.peers import Peer, Peers, write

PLAIN = (int, str, bytes, type(None), bool, float)
KERNELS_OWN = (Kernel, Task, SecurityModule, Handle, Handles, HandleTable, HandleOperations, Activation, Peer)


@pytest.fixture
def peers(tmp_path):
    image, policies = write(tmp_path)
    return Peers(image, policies[0])


def within_reach(start):
    """All that public attributes lead to, of public attributes again, and the items of what has items."""
    seen, waiting = {}, [start]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, PLAIN):
            continue
        seen[id(one)] = one
        if isinstance(one, types.BuiltinMethodType | types.MethodType | types.FunctionType):
            continue  # what is behind a method is found by private names alone
        waiting += [getattr(one, name) for name in dir(one) if not name.startswith("_")]
        if isinstance(one, tuple | list | set | frozenset):
            waiting += one
        if isinstance(one, dict):
            waiting += one.values()
    return list(seen.values())


def test_no_public_name_leads_to_the_kernel(peers):
    found = within_reach(peers.system("b"))
    assert len(found) > 10
    assert not [one for one in found if isinstance(one, (KERNELS_OWN, types.ModuleType))]


def test_nor_does_anything_that_it_is_answered(peers):
    system = peers.system("b")
    handle = system.create(2**32 - 1, "mine")
    answers = [
        system.call("to_a", "post", "Poke"),
        system.call("nowhere", "post", "Poke"),
        system.report("Nothing", {}),
        system.locate("to_a"),
        handle,
        system.rights(handle),
        system.sid(handle),
        system.dereference(handle),
        system.notices(),
        peers.programs["a"].got,
    ]
    for answer in answers:
        assert not [one for one in within_reach(answer) if isinstance(one, KERNELS_OWN)]


def test_nothing_can_be_hung_on_it_or_put_in_its_place(peers):
    system = peers.system("b")
    for name in ("call", "task", "more"):
        with pytest.raises(AttributeError):
            setattr(system, name, "mine")
    assert not hasattr(system, "__dict__")
