"""The limits of a task: sensible unless an image says otherwise, and wrong ones are told."""

import pytest

from secureos.kernel import ImageError, load_image
from secureos.kernel.quota import MOST, Quota


def limits_of(folder, quota):
    (folder / "init.yaml").write_text(f"entities: [{{name: Server, quota: {quota}}}]")
    return load_image(folder).tasks[0].quota


def test_an_image_need_not_say(folder):
    assert {spec.quota for spec in load_image(folder).tasks} == {Quota()}


def test_an_image_says_some_or_all(folder):
    assert limits_of(folder, "{calls: 7, backoff_ms: 0}") == Quota(calls=7, backoff_ms=0)
    wanted = Quota(calls=1, steps=2, memory_mb=3, cpu_s=4, restarts=0, backoff_ms=6, call_timeout_ms=MOST)
    names = ", ".join(f"{name}: {getattr(wanted, name)}" for name in Quota.__slots__)
    assert limits_of(folder, f"{{{names}}}") == wanted


@pytest.mark.parametrize(
    ("quota", "says"),
    [
        ("3", "`quota` must be a mapping"),
        ("[calls]", "`quota` must be a mapping"),
        ("{cals: 3}", "unknown key `cals` in `quota` of `Server`; did you mean `calls`?"),
        ("{1: 3}", "unknown key `1` in `quota`"),
        ("{calls: 0}", "quota `calls` must be a whole number from 1 to 1000000000, not `0`"),
        ("{restarts: -1}", "from 0 to"),
        ("{calls: true}", "not `True`"),
        ("{calls: 1.5}", "not `1.5`"),
        ("{calls: many}", "not `many`"),
        ("{steps: 1000000001}", "not `1000000001`"),
    ],
)
def test_wrong_limits(folder, quota, says):
    with pytest.raises(ImageError) as caught:
        limits_of(folder, quota)
    assert says in str(caught.value)
