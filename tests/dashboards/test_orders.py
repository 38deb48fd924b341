"""What a page may ask of the session, and what is refused at the border."""

import pytest

from dashboards.orders import Order, OrderError, parse_order


def test_the_run_bar_s_orders_are_read():
    assert parse_order('{"verb": "freeze"}') == Order("freeze")
    assert parse_order('{"verb": "speed", "speed": 20}') == Order("speed", 20.0)
    assert parse_order('{"verb": "attack", "speed": 4}') == Order("attack")


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "freeze",
        "[]",
        "null",
        '{"verb": "open F6"}',
        '{"verb": ["freeze"]}',
        '{"verb": "speed"}',
        '{"verb": "speed", "speed": 1e9}',
        '{"verb": "speed", "speed": true}',
        '{"verb": "speed", "speed": "4"}',
        "[" * 5000,
        '{"verb": "freeze", "more": "' + "x" * 5000 + '"}',
    ],
)
def test_everything_else_is_refused(sent):
    with pytest.raises(OrderError):
        parse_order(sent)
