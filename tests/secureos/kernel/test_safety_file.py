"""Reading `safety.toml`: what is right means what it says; of what is wrong every mistake is told with its place."""

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.kernel import ImageError, load_image
from secureos.kernel.safety import NO_SAFETY, Pattern
from secureos.kernel.safety_file import MAX_BOUND_MS, MAX_ENTRIES, MAX_QUEUE, read_safety
from secureos.kernel.toml_places import MAX_BYTES
from secureos.xdl.source import PolicyError, source_from_text
from tests.secureos.kernel.drives import FILES, NEVER, denial

WHOLE = (
    NEVER
    + """
[[never_block]]
purpose = "sign-of-life"
src = "Drive"
method = "Report"          # to the security module
where = { bound = "high", value = -5 }

[[denial]]
src = "Panel"
dst = "Drive"
endpoint = "drive"
method = "Many"
act = "substitute"
[denial.where]
steps = [1, 2]
pair = { a = 1, b = 2 }
[denial.fallback]
steps = []

[stopped.panel]
hold = true

[safe_state."panel"]
messages = [
    { from = "panel", to = "drive", endpoint = "drive", method = "Shut", fields = { unit = "all" } },
]

[audit]
on_failure = "refuse"
"""
)
NEEDED = 'src = "Panel"\ndst = "Drive"\nendpoint = "drive"\n'
ENTRY = f'[[never_block]]\npurpose = "trip"\n{NEEDED}'
SEND = '{ from = "panel", to = "drive", endpoint = "drive", method = "Shut", fields = { unit = "all" } }'


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return load_image(folder)


@pytest.fixture(scope="module")
def read(image):
    return lambda text: read_safety(source_from_text(text, name="safety.toml"), image.tasks)


@pytest.fixture(scope="module")
def mistakes(read):
    def told(text):
        with pytest.raises(PolicyError) as failure:
            read(text)
        return [(one.span.line, one.span.column, one.message) for one in failure.value.diagnostics]

    return told


def test_everything_that_it_can_say(read):
    safety = read(WHOLE)
    assert safety.gateways == {"Panel"}
    assert [str(entry.pattern) for entry in safety.never_block] == [
        "Panel → Drive drive.Stop where unit = 'M1'",
        "Panel → Drive drive.Read",
        "Drive Report where bound = 'high', value = -5",
    ]
    assert [(one.rule, one.purpose, one.span.line) for one in safety.never_block] == [
        ("safety:1", "emergency-stop", 5),
        ("safety:2", "read", 13),
        ("safety:3", "sign-of-life", 20),
    ]
    (denied,) = safety.denials
    assert denied.pattern.where == {"steps": (1, 2), "pair": {"a": 1, "b": 2}}
    assert (denied.act, denied.fallback, denied.fallback_method) == ("substitute", {"steps": ()}, "Many")
    assert safety.stopped["panel"].messages == ()
    assert safety.safe_state["panel"].messages[0].fields == {"unit": "all"}
    assert safety.on_audit_failure == "refuse"


def test_nothing_said_is_nothing_asked(read):
    assert read("") == NO_SAFETY
    assert read("[audit]\n").on_audit_failure == "go-on"


def test_a_denial_may_be_of_whoever_sends_and_of_any_fields(read):
    (denied,) = read(denial("defer", "bound_ms = 50", "queue = 2")).denials
    assert str(denied.pattern) == "any class → Drive drive.Set"
    assert (denied.bound_ms, denied.queue) == (50, 2)


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        # the file
        ("[[never_block]\n", 1, 14, "is not TOML: expected ']]'"),
        ("a = \n", 1, 5, "is not TOML: invalid value"),
        ("a = '''\n", 2, 1, "is not TOML: "),
        ("[classes]\ngateways = ['x'", 2, 1, "is not TOML: "),
        ("a = " + "[" * 5000, 1, 1, "is not TOML: "),
        ("#" * (MAX_BYTES + 1), 1, 1, f"has more than {MAX_BYTES} characters"),
        ("\n[denail]\n", 2, 1, "unknown key `denail`; did you mean `denial`?"),
        ("x = 1\n", 1, 1, "unknown key `x`; known are `classes`, `never_block`"),
        ("never_block = 3\n", 1, 1, "`never_block` must be a list of tables: `[[never_block]]`"),
        ("denial = [1]\n", 1, 1, "`denial` must be a list of tables: `[[denial]]`"),
        ("stopped = 3\n", 1, 1, "`stopped` must be a table: `[stopped]`"),
        # classes
        ("[classes]\ngateways = ['Panle']\n", 2, 1, "no task of the image is of class `Panle`; did you mean `Panel`?"),
        ("[classes]\ngateways = 'Panel'\n", 2, 1, "`gateways` must be a list of texts"),
        ("[classes]\ntrusted = []\n", 2, 1, "unknown key `trusted`"),
        # never_block
        (ENTRY, 1, 1, "key `method` is missing"),
        (f"{ENTRY}method = 3\n", 6, 1, "`method` must be a text"),
        (f'{ENTRY}method = "Stp"\n', 6, 1, "has no method `Stp`; did you mean `Stop`?"),
        (ENTRY.replace('"drive"', '"dirve"') + 'method = "Stop"\n', 5, 1, "did you mean `drive`?"),
        (ENTRY.replace("Panel", "Pump") + 'method = "Stop"\n', 3, 1, "no task of the image is of class `Pump`"),
        (ENTRY.replace("Drive", "Pump") + 'method = "Stop"\n', 4, 1, "no task of the image is of class `Pump`"),
        (ENTRY.replace('src = "Panel"\n', "") + 'method = "Stop"\n', 1, 1, "key `src` is missing"),
        (ENTRY.replace('purpose = "trip"\n', "") + 'method = "Stop"\n', 1, 1, "key `purpose` is missing; known are"),
        (ENTRY.replace("trip", "tripp") + 'method = "Stop"\n', 2, 1, "`tripp` is no purpose; did you mean `trip`?"),
        (f'{ENTRY}method = "Stop"\nwhere = 3\n', 7, 1, "must be a table of fields"),
        (f'{ENTRY}method = "Stop"\nwhere = {{ uint = "M1" }}\n', 7, 1, "no field `uint`; did you mean `unit`?"),
        (f'{ENTRY}method = "Stop"\nwhere = {{ unit = 3 }}\n', 7, 1, "field `unit` must be a text"),
        (f'{ENTRY}method = "Stop"\nwhere = {{ unit = "123456789" }}\n', 7, 1, "the limit is 8"),
        (f'{ENTRY}method = "Set"\nwhere = {{ rpm = {2**31} }}\n', 7, 1, "outside"),
        (f'{ENTRY}method = "Set"\nwhere = {{ rpm = true }}\n', 7, 1, "must be an integer"),
        (f'{ENTRY}method = "Set"\nwhere = {{ rpm = 2030-01-01 }}\n', 7, 1, "must be an integer"),
        (f'{ENTRY}method = "Pass"\nwhere = {{ item = {{}} }}\n', 7, 1, "no handle is known beforehand"),
        (f'{ENTRY}method = "Stop"\nwhen = 1\n', 7, 1, "unknown key `when`"),
        ('[[never_block]]\npurpose = "trip"\nsrc = "Panel"\nmethod = "Report"\n', 4, 1, "`Panel` has no security meth"),
        ('[[never_block]]\npurpose = "trip"\nsrc = "Drive"\nmethod = "Rep"\n', 4, 1, "did you mean `Report`?"),
        (ENTRY.replace('dst = "Drive"\n', "") + 'method = "Stop"\n', 1, 1, "key `dst` is missing; only a message to"),
        ("[[never_block]]\npurpose='trip'\nmethod='x'\n", 1, 1, "key `src` is missing"),
        # what a gateway may not be sure of
        (f'[classes]\ngateways = ["Panel"]\n{ENTRY}method = "Stop"\n', 4, 1, "from one only `emergency-stop`, `read`"),
        (
            f'[classes]\ngateways = ["Panel"]\n{ENTRY.replace("trip", "read")}method = "Stop"\n',
            8,
            1,
            "a gateway's read must carry nothing free, and `unit` is",
        ),
        (
            f'[classes]\ngateways = ["Panel"]\n{ENTRY.replace("trip", "emergency-stop")}method = "Stop"\n',
            3,
            1,
            "a gateway's emergency-stop must say of what",
        ),
        # denials
        (denial("clmap", 'field = "rpm"'), 5, 1, "`clmap` is no act; did you mean `clamp`?"),
        (denial("deny", "fallback = {}"), 6, 1, "unknown key `fallback`"),
        (denial("deny").replace('dst = "Drive"\n', ""), 1, 1, "key `dst` is missing: the class that is asked"),
        (denial("deny", method="Nothing"), 4, 1, "has no method `Nothing`"),
        (
            NEVER + denial("deny", 'where = { unit = "M1" }', 'src = "Panel"', method="Stop"),
            19,
            1,
            "it never comes to a denial",
        ),
        (NEVER + denial("deny", method="Read") + 'src = "Panel"\n', 19, 1, "safety.toml:13 says that this is never"),
        (denial("substitute", "fallback = {}", method="Pass"), 5, 1, "`Pass` passes on handles"),
        (denial("hold", "fallback = {}", 'per = ["rpm", "unti"]'), 7, 1, "no integer or text field `unti`"),
        (denial("hold", "fallback = {}", "per = 3"), 7, 1, "`per` must be a list of texts"),
        (denial("hold"), 1, 1, "key `fallback` is missing"),
        (denial("substitute", 'fallback_method = "Sut"'), 6, 1, "has no method `Sut`; did you mean"),
        (denial("substitute", "fallback_method = 3"), 6, 1, "`fallback_method` must be a text"),
        (denial("substitute", 'fallback_method = "Set"', method="Shut"), 1, 1, "`Set` needs field `rpm`"),
        (denial("substitute", "fallback = { rpm = 0.5 }"), 6, 1, "must be an integer"),
        (denial("clamp", "fallback = { rpm = 0 }"), 1, 1, "key `field` is missing"),
        (denial("clamp", 'field = "unit"', 'fallback = { unit = "M1" }'), 6, 1, "no integer field `unit`"),
        (denial("clamp", 'field = "rmp"', "fallback = { rmp = 1 }"), 6, 1, "did you mean `rpm`?"),
        (denial("clamp", 'field = "rpm"'), 1, 1, "the fallback of a clamp is one value for `rpm`"),
        (denial("clamp", 'field = "rpm"', 'fallback = { rpm = 0, unit = "M1" }'), 7, 1, "and nothing else"),
        (denial("defer", "bound_ms = 0", "queue = 1"), 6, 1, f"a whole number from 1 to {MAX_BOUND_MS}"),
        (denial("defer", "bound_ms = 1", f"queue = {MAX_QUEUE + 1}"), 7, 1, f"from 1 to {MAX_QUEUE}"),
        (denial("defer", "bound_ms = 1", "queue = true"), 7, 1, f"from 1 to {MAX_QUEUE}"),
        (denial("shutdown", "reset = {}"), 1, 1, "must be a list of 1 to"),
        (denial("shutdown", f"sequence = [{SEND}]"), 1, 1, "key `reset` is missing"),
        (denial("shutdown", f"sequence = [{SEND}]", "reset = {}"), 7, 1, "key `dst` is missing"),
        (
            denial("shutdown", f"sequence = [{SEND}]", 'reset = { dst = "Drive", endpoint = "drive", method = "x" }'),
            7,
            1,
            "has no method `x`",
        ),
        (denial("observe"), 1, 1, "`until` must be the last day"),
        (denial("observe", "until = 2030-01-01T00:00:00"), 6, 1, "`until` must be the last day"),
        (denial("observe", 'until = "2030-01-01"'), 6, 1, "`until` must be the last day"),
        # tasks that stop
        ("[stopped.pump]\nhold = true\n", 1, 1, "the image has no task `pump`"),
        ("[stopped]\npanel = 3\n", 2, 1, "must be a table with `hold = true` or `messages`"),
        ("[stopped.panel]\n", 1, 1, "says either `hold = true`, or which `messages`"),
        ("[stopped.panel]\nhold = false\n", 1, 1, "says either"),
        (f"[stopped.panel]\nhold = true\nmessages = [{SEND}]\n", 1, 1, "says either"),
        ("[stopped.panel]\nmessages = []\n", 2, 1, "must be a list of 1 to"),
        ("[stopped.panel]\nmessages = [3]\n", 2, 1, "a message is a table with `from`, `to`"),
        ("[stopped.panel]\nmessages = [{ to = 'drive' }]\n", 2, 1, "key `from` is missing"),
        (f"[stopped.panel]\nmessages = [{SEND.replace('from', 'form')}]\n", 2, 1, "did you mean `from`?"),
        (f"[stopped.panel]\nmessages = [{SEND.replace(': panel', '')}]\nx = 1\n", 3, 1, "unknown key `x`"),
        ("[stopped.panel]\nmessages = [" + SEND.replace('"panel"', '"panl"') + "]\n", 2, 1, "no task `panl`; did you"),
        (
            "[stopped.panel]\nmessages = [" + SEND.replace('"panel"', '"logger"') + "]\n",
            2,
            1,
            "has no channel to `drive",
        ),
        ("[stopped.panel]\nmessages = [" + SEND.replace("Shut", "Shot") + "]\n", 2, 1, "has no method `Shot`"),
        (
            "[stopped.panel]\nmessages = [" + SEND.replace('unit = "all"', "") + "]\n",
            2,
            1,
            "field `unit` of `Shut` is mi",
        ),
        # the audit
        ('[audit]\non_failure = "stop"\n', 2, 1, "`stop` is no on_failure; known are `go-on`, `refuse`"),
        ("[audit]\non_failure = []\n", 2, 1, "is no on_failure"),
        ("[audit]\nlevel = 1\n", 2, 1, "unknown key `level`"),
    ],
)
def test_each_mistake_is_told_with_its_place(mistakes, text, line, column, says):
    found = mistakes(text)
    assert any((at, where) == (line, column) and says in message for at, where, message in found), found


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text(mistakes):
    found = mistakes(ENTRY + 'method = "Stp"\n' + denial("clmap") + "[audit]\non_failure = 1\n")
    assert [line for line, _, _ in found] == [6, 11, 14]


def test_lists_are_bounded(mistakes):
    entry = ENTRY + 'method = "Stop"\n'
    ((line, _, message),) = mistakes(entry * (MAX_ENTRIES + 1))
    assert (line, message) == (6 * MAX_ENTRIES + 1, f"more than {MAX_ENTRIES} entries `[[never_block]]`")


@given(st.text(max_size=200))
def test_no_text_makes_it_fail_otherwise(read, text):
    with contextlib.suppress(PolicyError):
        assert read(text) == NO_SAFETY  # by chance it may be TOML, but hardly more


def test_an_image_with_a_wrong_one_is_refused(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "safety.toml").write_text(denial("clmap"))
    with pytest.raises(ImageError, match=r"safety\.toml:5:1: `clmap` is no act"):
        load_image(tmp_path)


def test_a_pattern_covers_what_it_leaves_open():
    narrow, wide = Pattern("A", "B", "e", "m", {"f": 1}), Pattern(None, "B", "e", "m")
    assert wide.covers(narrow)
    assert not narrow.covers(wide)
    assert not Pattern("C", "B", "e", "m").covers(narrow)
    assert narrow.fits({"f": 1, "g": 2})
    assert not narrow.fits({"g": 2})


def test_days_are_counted_to_the_last(read):
    safety = read(denial("observe", "until = 2030-06-30"))
    assert safety.on(date(2030, 6, 30)).today == date(2030, 6, 30)
    with pytest.raises(ImageError, match=r"safety\.toml:1: `observe` was allowed until 2030-06-30 only"):
        safety.on(date(2030, 7, 1))
