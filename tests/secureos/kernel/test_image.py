"""Reading an image: every mistake is told, and nothing is started."""

import os

import pytest

from secureos.kernel import ImageError, load_image
from secureos.kernel.image import file_hashes


def test_tasks_come_servers_first(folder):
    image = load_image(folder)
    assert [spec.task for spec in image.tasks] == ["Server", "Bystander", "Client"]
    assert image.tasks[2].connections[0].target == "Server"
    assert len(image.sha256) == 64


def test_the_hash_is_over_wiring_and_interfaces_and_no_policy(folder):
    before = load_image(folder).sha256
    (folder / "other.psl").write_text("execute { grant () }")
    assert load_image(folder).sha256 == before
    (folder / "Bystander.edl").write_text("entity Bystander // changed\n")
    assert load_image(folder).sha256 != before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be a mapping"),
        ("- a", "must be a mapping"),
        ("entities: []", "at least one entry"),
        ("entities: 3", "at least one entry"),
        ("entities: [{task: x}]", "needs a `name`"),
        ("entities: [Server]", "needs a `name`"),
        ("entities: [{name: Servr}]", "Servr"),
        ("entities: [{name: Server, tsk: x}]", "unknown key `tsk` in `Server`; did you mean `task`?"),
        ("entities: [{name: Server}]\nmore: 1", "unknown key `more` in init.yaml"),
        ("entities: [{name: Server}, {name: Server}]", "two tasks are called `Server`"),
        ("entities: [{name: Server, args: 3}]", "`args` must be a list"),
        ("entities: [{name: Server, connections: 3}]", "`connections` must be a list"),
        ("entities: [{name: Server, connections: [{target: x}]}]", "needs `target` and `id`"),
        (
            "entities: [{name: Server}, {name: Client, connections: [{target: Servr, id: a}]}]",
            "which is no task; did you mean `Server`?",
        ),
        (
            "entities: [{name: Server}, "
            "{name: Client, connections: [{target: Server, id: a}, {target: Server, id: a}]}]",
            "two channels called `a`",
        ),
        (
            "entities: [{name: Server, connections: [{target: Client, id: a}]}, "
            "{name: Client, connections: [{target: Server, id: a}]}]",
            "form a circle",
        ),
        ("entities: [", "is not YAML"),
        ("entities: " + "[" * 5000, "is not YAML"),
        ("a: &a [*a]", "1:8: is not YAML: an alias stands here"),
        ("a: &a [x]\nentities: [*a, *a]", "2:12: is not YAML: an alias stands here"),
        ("entities: [{name: Server, task: a, task: b}]", "1:36: is not YAML: key `task` stands here a second time"),
        ("entities: [{name: Server}]\nentities: [{name: Client}]", "2:1: is not YAML: key `entities` stands here a"),
        ("entities: [{? [a] : 1}]", "is not YAML"),
        ("entities: [{name: Server, args: [2026-99-99]}]", "is not YAML: month must be in 1..12"),
        ("entities: [{name: Server, args: [!!timestamp x]}]", "is not YAML"),
        ("entities: [{name: Server, args: [!!bool x]}]", "is not YAML"),
        ("entities: [{name: Server, args: [!!int '']}]", "is not YAML"),
        ("entities: [{name: Server, args: [" + "9" * 5000 + "]}]", "is not YAML"),
        ("entities: [{name: Server, task: null}]", "`task` must be a name of letters, digits and `_.-`, not 'None'"),
        ("entities: [{name: Server, task: ''}]", "`task` must be a name"),
        ('entities: [{name: Server, task: "a\\e[2J"}]', "not 'a\\x1b[2J'"),
        ("entities: [{name: Server, connections: [{target: [1], id: a}]}]", "`target` must be a name"),
        ("entities: [{name: Server, connections: [{target: Server, id: {}}]}]", "`id` must be a name"),
        ("#" * 1_000_001, "is larger than"),
    ],
)
def test_mistakes(folder, text, says):
    (folder / "init.yaml").write_text(text)
    with pytest.raises(ImageError) as caught:
        load_image(folder)
    assert says in str(caught.value)


def test_not_there_and_not_text(folder):
    (folder / "init.yaml").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(ImageError, match="is not YAML"):
        load_image(folder)
    (folder / "init.yaml").unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(folder)


def test_a_pipe_in_place_of_the_wiring(folder):
    (folder / "init.yaml").unlink()
    os.mkfifo(folder / "init.yaml")
    with pytest.raises(ImageError, match=r"init.yaml: is no plain file"):
        load_image(folder)


def test_a_file_that_cannot_be_read(folder, monkeypatch):
    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", fail)
    with pytest.raises(ImageError, match=r"cannot be read: Permission denied"):
        file_hashes([folder])


def test_a_channel_that_may_be_passed_on_or_not(folder):
    text = "entities: [{name: Server}, {name: Client, connections: [{target: Server, id: a, transfer: WHETHER}]}]"
    (folder / "init.yaml").write_text(text.replace("WHETHER", "true"))
    assert load_image(folder).tasks[1].connections[0].transfer
    (folder / "init.yaml").write_text(text.replace("WHETHER", "maybe"))
    with pytest.raises(ImageError, match="is true or false, not `maybe`"):
        load_image(folder)
