"""The steps of confinement in their order, with the machine's kernel noting instead of confining this process."""

import ctypes
import os
import signal
import socket
import struct

import pytest

from secureos.kernel.isolation import confinement, nursery_process, seccomp, trials
from secureos.kernel.isolation.encoding import encode
from secureos.kernel.isolation.errors import NotConfined
from secureos.kernel.isolation.frames import FrameReader, Kind

ORDER = {"builder": "tests.secureos.kernel.isolation.programs:honest", "memory_mb": 4096, "landlock": True}


class Instead:
    """A module with some of its functions replaced, for one importer alone: this process needs the true ones."""

    def __init__(self, module, **changed):
        self._module = module
        self.__dict__.update(changed)

    def __getattr__(self, name):
        return getattr(self._module, name)


def replace(monkeypatch, importer, name, **changed):
    monkeypatch.setattr(importer, name, Instead(getattr(importer, name), **changed))


class Ended(BaseException):
    """Stands for the end of a process."""


@pytest.fixture
def noted(monkeypatch):
    """Every step that the machine's kernel is asked for, by name and arguments; none is taken."""
    steps = []

    def note(name, answer=0):
        def noting(*arguments):
            steps.append((name, *arguments))
            return answer

        return noting

    def called(name, *arguments):
        steps.append((name, *arguments))
        return 6 if name == "landlock_create_ruleset" and arguments[0] is None else 0

    monkeypatch.setattr(confinement, "checked", called)
    monkeypatch.setattr(confinement, "system_call", called)
    monkeypatch.setattr(confinement.seccomp, "install", note("seccomp"))
    replace(monkeypatch, confinement, "resource", setrlimit=note("limit"))
    changed = {name: note(name) for name in ("chdir", "setgroups", "setresgid", "setresuid", "close")}
    replace(monkeypatch, confinement, "os", **changed)
    return steps


def names(steps):
    return list(dict.fromkeys(step[0] for step in steps))


def test_locking_goes_from_the_file_system_to_the_filter(noted):
    confinement.lock(memory_mb=65_536, namespaces=True, landlock=True)
    assert names(noted) == [
        *("limit", "mount", "chdir", "pivot_root", "umount2", "prctl", "capset"),
        *("landlock_create_ruleset", "landlock_restrict_self", "close", "seccomp"),
    ]
    limits = {step[1]: step[2] for step in noted if step[0] == "limit"}
    assert limits[confinement.resource.RLIMIT_AS] == (2**36, 2**36)
    assert limits[confinement.resource.RLIMIT_NPROC] == (0, 0)


def test_locking_without_what_is_missing(noted):
    confinement.lock(memory_mb=65_536, namespaces=False, landlock=False)
    assert names(noted) == ["limit", "prctl", "capset", "seccomp"]


def test_no_capability_bound_that_cannot_be_dropped_stops_it(noted, monkeypatch):
    def refuse(name, *arguments):
        if arguments[0] == 24:
            raise OSError(1, name)

    monkeypatch.setattr(confinement, "checked", refuse)
    confinement.lock(memory_mb=65_536, namespaces=False, landlock=False)
    assert names(noted)[-1] == "seccomp"


def test_an_unknown_architecture_is_not_confined(noted, monkeypatch):
    monkeypatch.setattr(confinement, "architecture", lambda: None)
    with pytest.raises(NotConfined):
        confinement.lock(memory_mb=65_536, namespaces=False, landlock=False)


def test_too_little_memory_is_told(noted):
    with pytest.raises(NotConfined, match="raise `memory_mb`"):
        confinement.limit(1)


@pytest.mark.parametrize(("version", "size"), [(1, 8), (3, 8), (4, 16), (6, 24), (9, 24)])
def test_landlock_is_asked_for_all_that_its_version_knows(noted, monkeypatch, version, size):
    monkeypatch.setattr(confinement, "landlock_version", lambda: version)
    confinement.restrict_by_landlock()
    attributes = ctypes.string_at(noted[0][1], noted[0][2].value)
    assert noted[0][2].value == size
    assert struct.unpack_from("<Q", attributes)[0] & 0x1FFF == 0x1FFF
    assert len(attributes) == size


def test_without_landlock(noted, monkeypatch):
    monkeypatch.setattr(confinement, "landlock_version", lambda: 0)
    with pytest.raises(OSError, match="there is no Landlock"):
        confinement.restrict_by_landlock()


def test_a_kernel_without_landlock_has_version_0(monkeypatch):
    def lack(name, *arguments):
        raise OSError(38, name)

    monkeypatch.setattr(confinement, "system_call", lack)
    assert confinement.landlock_version() == 0


@pytest.mark.parametrize(("user", "steps"), [(0, ["setgroups", "setresgid", "setresuid", "prctl"]), (1000, [])])
def test_the_superuser_becomes_nobody(noted, monkeypatch, user, steps):
    replace(monkeypatch, confinement, "os", geteuid=lambda: user)
    confinement.become_nobody()
    assert names(noted) == steps


def test_new_spaces_know_one_user(noted, monkeypatch):
    written = {}

    def noting(path):
        return Instead(None, write_text=lambda text: written.update({path.rpartition("/")[2]: text}))

    monkeypatch.setattr(confinement, "Path", noting)
    replace(monkeypatch, confinement, "os", geteuid=lambda: 1000, getegid=lambda: 1001)
    confinement.enter_namespaces()
    assert written == {"setgroups": "deny", "uid_map": "65534 1000 1", "gid_map": "65534 1001 1"}


def test_the_filter_is_handed_to_the_kernel(monkeypatch):
    handed = []
    monkeypatch.setattr(seccomp, "checked", lambda *arguments: handed.append(arguments))
    here = confinement.architecture()
    if here is None:
        pytest.skip("the filter is not written for this machine")
    seccomp.install(here)
    assert handed[0][:3] == ("prctl", 22, 2)


# ---- the nursery's process, with this process in its place ---------------------------------------------------------


@pytest.fixture
def link():
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def ending(monkeypatch):
    """Where a process would end, `Ended` is raised; nothing is confined or forked."""

    def end(code):
        raise Ended(code)

    replace(monkeypatch, nursery_process, "os", _exit=end)
    replace(monkeypatch, nursery_process, "signal", signal=lambda *_: None)
    monkeypatch.setattr(nursery_process, "_close_all_but", lambda _: None)
    done = []
    for name in ("become_nobody", "enter_namespaces", "die_with_parent"):
        monkeypatch.setattr(confinement, name, lambda name=name: done.append(name))
    monkeypatch.setattr(confinement, "lock", lambda **options: done.append("lock"))
    monkeypatch.setattr(nursery_process, "TaskSide", Side)
    return done


class Side:
    """Stands for the task's side, which in a process of its own never gives anything back."""

    def __init__(self, kernel, loop, builder):
        kernel.close()
        loop.close()

    def run(self):
        pass


def told(ours):
    return FrameReader().feed(ours.recv(65_536))


@pytest.mark.parametrize("namespaces", [True, False])
def test_a_task_s_process_locks_itself_before_it_runs(link, ending, monkeypatch, namespaces):
    ours, theirs = link
    replace(monkeypatch, nursery_process, "os", fork=lambda: 0)
    with pytest.raises(Ended):
        nursery_process._fork({**ORDER, "namespaces": namespaces}, os.dup(theirs.fileno()))
    assert ending == ["become_nobody", *(["enter_namespaces"] if namespaces else []), "lock"]
    if not namespaces:  # with them, the process in between tells of the birth
        frames = told(ours)
        assert (frames[0].kind, frames[0].number) == (Kind.BORN, os.getpid())


def test_in_between_it_tells_of_the_birth_and_waits(link, ending, monkeypatch):
    ours, theirs = link
    replace(monkeypatch, nursery_process, "os", fork=os.getpid)
    replace(monkeypatch, nursery_process, "os", waitpid=lambda child, _: (child, 0))
    with pytest.raises(Ended):
        nursery_process._never_return({**ORDER, "namespaces": True}, os.dup(theirs.fileno()))
    assert ending == ["become_nobody", "enter_namespaces", "die_with_parent"]
    assert told(ours)[0].kind is Kind.BORN


def test_what_fails_is_told(link, ending, monkeypatch):
    ours, theirs = link

    def fail(**options):
        raise OSError(1, "prctl: no")

    monkeypatch.setattr(confinement, "lock", fail)
    passed = os.dup(theirs.fileno())
    with pytest.raises(Ended):
        nursery_process._never_return({**ORDER, "namespaces": False}, passed)
    os.close(passed)
    theirs.close()
    heard = b""
    while more := ours.recv(65_536):
        heard += more
    assert [frame.kind for frame in FrameReader().feed(heard)] == [Kind.BORN, Kind.FAILED]


def test_the_nursery_forks_until_the_host_hangs_up(link, monkeypatch):
    _, theirs = link
    forked = []
    replace(monkeypatch, nursery_process, "signal", signal=lambda *_: None)
    replace(monkeypatch, nursery_process, "os", environ={"a": "b"})
    monkeypatch.setattr(nursery_process, "_fork", lambda order, _: forked.append(order["builder"]))
    host, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with host:
        socket.send_fds(host, [encode(ORDER)], [theirs.fileno()])
        host.shutdown(socket.SHUT_WR)
        nursery_process.main(control.detach())
    assert forked == [ORDER["builder"]]


def test_a_module_that_cannot_be_loaded_is_told(link):
    ours, theirs = link
    nursery_process._fork({"builder": "no.such:module"}, theirs.fileno())
    (frame,) = told(ours)
    assert frame.kind is Kind.FAILED
    assert "cannot be loaded" in frame.value


def test_a_parent_goes_on_after_its_fork(link, monkeypatch):
    replace(monkeypatch, nursery_process, "os", fork=lambda: 77)
    replace(monkeypatch, nursery_process, "gc", freeze=lambda: None)
    nursery_process._fork(ORDER, link[1].fileno())


def test_descriptors_are_closed_but_for_the_link(monkeypatch, link):
    closed = []
    replace(monkeypatch, nursery_process, "os", close=closed.append)
    nursery_process._close_all_but(link[1].fileno())
    assert link[0].fileno() in closed
    assert link[1].fileno() not in closed
    assert not {0, 1, 2} & set(closed)


# ---- the trials, with mechanisms that do not do what they say ------------------------------------------------------


def test_mechanisms_that_confine_nothing_are_found_out(noted, monkeypatch):
    monkeypatch.setattr(trials.seccomp, "install", lambda _: None)
    with pytest.raises(OSError, match="filters nothing"):
        trials._use_seccomp()
    with pytest.raises(OSError, match="restricts nothing"):
        trials._use_landlock()
    monkeypatch.setattr(trials, "architecture", lambda: None)
    with pytest.raises(OSError, match="no system-call filter"):
        trials._use_seccomp()


def test_mechanisms_that_confine_pass(noted, monkeypatch):
    def refuse(*arguments):
        raise PermissionError

    replace(monkeypatch, trials, "os", open=refuse)
    trials._use_seccomp()
    monkeypatch.setattr(trials, "Path", lambda _: Instead(None, iterdir=refuse))
    trials._use_landlock()


@pytest.mark.parametrize(("status", "fails"), [(0, False), (256, True)])
def test_an_empty_file_system_is_looked_at(noted, monkeypatch, status, fails):
    monkeypatch.setattr(confinement, "enter_namespaces", lambda: None)
    replace(monkeypatch, trials, "os", fork=lambda: 77)
    replace(monkeypatch, trials, "os", waitpid=lambda child, _: (child, status))
    if fails:
        with pytest.raises(OSError, match="empty one"):
            trials._use_namespaces()
    else:
        trials._use_namespaces()


def test_the_child_that_looks_counts_what_it_sees(noted, monkeypatch):
    def end(code):
        raise Ended(code)

    monkeypatch.setattr(confinement, "enter_namespaces", lambda: None)
    replace(monkeypatch, trials, "os", fork=lambda: 0)
    replace(monkeypatch, trials, "os", _exit=end)
    with pytest.raises(Ended) as ended:
        trials._use_namespaces()
    assert ended.value.args == (1,)


def test_all_trials_are_printed(monkeypatch, capsys):
    monkeypatch.setattr(trials, "_trial", lambda use: "")
    trials.main()
    assert capsys.readouterr().out == '{"seccomp": "", "namespaces": "", "landlock": "", "limits": ""}'


def test_a_trial_s_child_tells_and_ends(monkeypatch):
    def end(code):
        raise Ended(code)

    replace(monkeypatch, trials, "os", fork=lambda: 0)
    replace(monkeypatch, trials, "os", _exit=end)
    for use in (lambda: None, lambda: os.kill(1 << 30, signal.SIGKILL)):
        with pytest.raises(Ended):
            trials._trial(use)
