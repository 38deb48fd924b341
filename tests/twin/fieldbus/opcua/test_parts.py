"""The parts that need no server: roles, users, waits, history, certificates of our own, export."""

from __future__ import annotations

import asyncio
import stat
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from asyncua import Server, ua
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.fieldbus.opcua.conftest import HERE
from twin.core import PointTable
from twin.fieldbus import Reading
from twin.fieldbus.opcua import AccessError, AccessRules, HostTime, Users, UsersError
from twin.fieldbus.opcua.certificates import CertificateRefused, own_certificate, split_chain
from twin.fieldbus.opcua.datatypes import ValueType
from twin.fieldbus.opcua.history import History, Span
from twin.fieldbus.opcua.lockout import Lockout
from twin.fieldbus.opcua.units import engineering_unit
from twin.fieldbus.refusal import Refusal

TINY = PointTable.load(HERE / "tiny.csv")
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class TestUsers:
    def test_they_are_kept_without_their_passwords_and_for_their_owner_alone(self, tmp_path):
        path = tmp_path / "users.toml"
        users = Users()
        users.add("maria", "operator", "correct horse")
        users.add("erik", "engineer", "battery staple")
        users.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "horse" not in path.read_text()
        kept = Users.load(path)
        assert [(u.name, u.role) for u in kept] == [("erik", "engineer"), ("maria", "operator")]
        assert kept.sign_in("maria", "correct horse").role == "operator"
        assert kept.sign_in("maria", "battery staple") is None
        assert kept.sign_in("nobody", "correct horse") is None
        kept.remove("maria")
        assert kept.sign_in("maria", "correct horse") is None

    def test_nobody_where_there_is_no_file(self, tmp_path):
        assert list(Users.load(tmp_path / "none.toml")) == []

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "[maria]\nrole = 'a'",
            "[maria]\nrole = 'a'\npassword = 'plain'",
            "[maria]\nrole = 'a'\npassword = 'scrypt$1073741824$8$3$AA==$AA=='",
            "[maria]\nrole = 'a'\npassword = 'scrypt$3$8$3$AA==$AA=='",
            "[maria]\nrole = 'a'\npassword = 'scrypt$1024$8$3$?$AA=='",
            "maria = 1",
        ],
    )
    def test_a_file_that_makes_no_sense(self, tmp_path, text):
        path = tmp_path / "users.toml"
        path.write_text(text)
        with pytest.raises(UsersError, match="users"):
            Users.load(path)

    @pytest.mark.parametrize(("name", "password"), [("", "long enough"), ('x"y', "long enough"), ("x", "short")])
    def test_what_cannot_be_a_user(self, name, password):
        with pytest.raises(UsersError):
            Users().add(name, "operator", password)


class TestRoles:
    def test_what_is_left_out_is_denied(self, tmp_path):
        path = tmp_path / "access.toml"
        path.write_text("")
        assert AccessRules.load(path) == AccessRules()
        assert AccessRules().anonymous_role is None
        assert not AccessRules().unsecured

    def test_all_that_there_is(self, tmp_path):
        path = tmp_path / "access.toml"
        path.write_text(
            f'[anonymous]\nrole = "observer"\n[certificates]\n"{"AB" * 32}" = "engineer"\n'
            '[users]\nmaria = "operator"\n[unsecured]\nallowed = true\n'
        )
        rules = AccessRules.load(path)
        assert rules == AccessRules("observer", {"ab" * 32: "engineer"}, {"maria": "operator"}, unsecured=True)

    @pytest.mark.parametrize(
        "text",
        [
            "[other]",
            "[anonymous]\nname = 'x'",
            "[unsecured]\nallowed = 'x'",
            "[certificates]\nab = 'x'",
            "users = 1",
            "[",
        ],
    )
    def test_a_file_that_makes_no_sense(self, tmp_path, text):
        path = tmp_path / "access.toml"
        path.write_text(text)
        with pytest.raises(AccessError, match="access"):
            AccessRules.load(path)


class TestLockout:
    def test_the_wait_doubles_up_to_five_minutes(self):
        now = [0.0]
        lockout = Lockout(lambda: now[0])
        waits = []
        for _ in range(20):
            lockout.failed("maria", "10.0.0.1")
            waits.append(lockout.wait_s("maria", "10.0.0.1"))
        assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8]
        assert waits[-1] == 300
        assert lockout.wait_s("maria", "10.0.0.2") == 0
        assert lockout.wait_s("erik", "10.0.0.1") == 0
        now[0] = 300.0
        assert lockout.wait_s("maria", "10.0.0.1") == 0
        lockout.passed("maria", "10.0.0.1")
        lockout.failed("maria", "10.0.0.1")
        assert lockout.wait_s("maria", "10.0.0.1") == 0

    def test_what_is_kept_is_bounded(self):
        lockout = Lockout(lambda: 0.0)
        for number in range(10_000):
            lockout.failed(f"user {number}", "10.0.0.1")
        assert len(lockout._records) == 4096


class TestOwnCertificate:
    def test_made_at_the_first_start_kept_and_renewed_before_it_ends(self, tmp_path):
        first = own_certificate(tmp_path, "urn:x", NOW)
        assert stat.S_IMODE((tmp_path / "private.pem").stat().st_mode) == 0o600
        assert own_certificate(tmp_path, "urn:x", NOW + timedelta(days=600)).certificate == first.certificate
        renewed = own_certificate(tmp_path, "urn:x", NOW + timedelta(days=701))
        assert renewed.certificate != first.certificate
        assert renewed.certificate.public_key() == first.certificate.public_key()
        assert renewed.certificate.not_valid_after_utc > NOW + timedelta(days=1400)

    def test_another_application_gets_another(self, tmp_path):
        first = own_certificate(tmp_path, "urn:x", NOW)
        assert own_certificate(tmp_path, "urn:y", NOW).certificate != first.certificate

    @pytest.mark.parametrize("content", [b"", b"nonsense"])
    def test_what_cannot_be_read_is_made_anew(self, tmp_path, content):
        (tmp_path / "private.pem").write_bytes(content)
        (tmp_path / "certificate.der").write_bytes(content)
        assert own_certificate(tmp_path, "urn:x", NOW).application_uri == "urn:x"

    @given(st.binary(max_size=300))
    def test_no_row_of_certificates_crashes_the_cutting(self, content):
        try:
            parts = split_chain(content)
        except CertificateRefused:
            return
        assert b"".join(parts) == content


class TestHistory:
    @settings(max_examples=200)
    @given(
        times=st.lists(st.integers(0, 50), max_size=30),
        bounds=st.tuples(st.one_of(st.none(), st.integers(0, 50)), st.one_of(st.none(), st.integers(0, 50))),
        most=st.integers(1, 7),
    )
    def test_parts_make_up_what_lies_between(self, times, bounds, most):
        start, end = bounds
        readings = [Reading(0, "good", at) for at in sorted(times)]
        forward = end is None or (start is not None and start <= end)
        span = Span("x", start, end, forward, most, bounds=False)
        told = []
        while span is not None:
            part, span = span.read(readings)
            assert len(part) <= most
            told += [reading.at_ns for reading in part]
        expected = sorted(times)
        if forward:
            low = -1 if start is None else start
            expected = [t for t in expected if t >= low and (end is None or t < end or t == start == end)]
        else:
            expected = [t for t in expected if t > end and (start is None or t <= start)][::-1]
        assert told == expected

    def test_the_oldest_is_forgotten(self):
        history = History(10)
        for at in range(100):
            history.add("x", Reading(at, "good", at))
            assert len(history._rings["x"]) <= 20
        assert [r.value for r in history.of("x")] == list(range(90, 100))


class TestValues:
    @pytest.fixture
    def types(self, request):
        table = PointTable.load(request.path.parent.parent / "every_datatype.csv")
        return {point.tag: ValueType.of(point) for point in table}

    def test_every_datatype_of_a_table_has_a_type(self, types):
        kinds = {value.type.name for value in types.values()}
        whole = {f"{sign}Int{bits}" for sign in ("", "U") for bits in (16, 32, 64)}
        assert kinds <= whole | {"Boolean", "Double", "Float"}
        assert len(kinds) >= 7

    def test_the_bounds_of_a_point_come_back_as_they_went(self, types):
        for value in types.values():
            for bound in (value.point.low, value.point.high):
                assert value.admit(value.carry(bound)) == pytest.approx(bound)

    @given(value=st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.text(), st.booleans()))
    def test_nothing_beyond_the_bounds_is_admitted(self, value):
        for point in TINY:
            kind = ValueType.of(point)
            try:
                admitted = kind.admit(ua.Variant(value, kind.type))
            except Refusal:
                continue
            assert point.low <= admitted <= point.high

    def test_units_without_a_code_say_so(self):
        assert engineering_unit("furlong").UnitId == -1
        assert engineering_unit("kV").UnitId == int.from_bytes(b"KVT")

    def test_dates_and_instants_are_one(self):
        time = HostTime(lambda: 0)
        for at_ns in (0, 1_000, 86_400_000_000_000, 123_456_789_000):
            assert time.instant(time.date(at_ns)) == at_ns


def test_another_server_can_load_the_export(rig, tmp_path):
    text = rig.run(rig.server.nodeset())
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}UANodeSet"
    assert rig.run(rig.server.nodeset()) == text
    path = tmp_path / "tiny.xml"
    path.write_text(text, encoding="utf-8")

    async def load():
        server = Server()
        await server.init()
        await server.import_xml(path)
        index = await server.get_namespace_index("urn:holdfast:tiny")
        node = server.get_node(ua.NodeId("T1.L", index))
        children = {(await child.read_browse_name()).Name for child in await node.get_children()}
        shown = (await node.read_description()).Text, await node.read_type_definition()
        server.iserver.method_service.stop()
        return children, shown

    children, shown = asyncio.run(load())
    assert children == {"EURange", "InstrumentRange", "EngineeringUnits"}
    assert shown == ("Level", ua.NodeId(ua.ObjectIds.AnalogItemType))
