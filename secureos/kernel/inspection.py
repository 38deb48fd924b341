"""What an image rests on, and what each of its tasks could do if it turned hostile.

The trusted computing base is the code that must be right for the policy to hold: kernel, policy engine and the checks
before the start, and the tasks between which and the plant no verdict stands, or whose word the policy takes. What
each task could do is computed from the policy: with no condition, only under rules, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from secureos.kernel.boot_checks import Checked
from secureos.kernel.image import Image, TaskSpec
from secureos.kernel.kernel import Kernel
from secureos.kernel.sources import SourceModule, source_of
from secureos.policy import Policy
from secureos.policy.candidates import Candidate, UnknownNames, selected
from secureos.policy.constants import constant_answer
from secureos.policy.rule_index import PlacedRule, RuleIndex
from secureos.policy.syntax import Choice

SCHEMA: Final = 1

Condition = Literal["anything", "under rules", "never"]


@dataclass(frozen=True)
class Device:
    """A device that the host grants to a task.

    Attributes:
        name: Under which the task asks for it.
        acts: Whether what is written to it moves the plant, with no verdict in between.
    """

    name: str
    acts: bool


@dataclass(frozen=True)
class Hosted:
    """What the host has for a task: its program's class, and the devices that it grants."""

    program: type
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True)
class Size:
    """How much code: modules, lines that hold code, bytes."""

    modules: int
    lines: int
    bytes: int


@dataclass(frozen=True)
class TaskView:
    """One task of an image.

    Attributes:
        task, task_class: Its names.
        trusted: Whether it belongs to the trusted computing base.
        because: Why it does.
        own: The module of its program.
        size: All modules of its program.
        channels: To whom it holds channels, by name of the channel.
        devices: What the host grants it.
    """

    task: str
    task_class: str
    trusted: bool
    because: tuple[str, ...]
    own: Size
    size: Size
    channels: Mapping[str, str]
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Power:
    """One kind of message that a task could send.

    Attributes:
        task: Who.
        to: The task that gets it; empty for a report to the security module.
        called: `endpoint.method`.
        condition: Whether it passes.
        rules: What it is weighed by: each rule with its place.
    """

    task: str
    to: str
    called: str
    condition: Condition
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """An image as `inspect` shows it.

    Attributes:
        image_sha256: Which image.
        base: Kernel and policy engine, by their parts.
        tasks: In starting order.
        total: Of the trusted computing base: what several tasks share counts once.
        powers: By policy.
    """

    image_sha256: str
    base: Mapping[str, Size]
    tasks: tuple[TaskView, ...]
    total: Size
    powers: Mapping[str, tuple[Power, ...]]


def inspect_image(image: Image, policies: Sequence[Policy], hosted: Mapping[str, Hosted]) -> Inspection:
    """Look into an image.

    Args:
        image: What would be started.
        policies: Under which of them what could happen is computed, each by itself.
        hosted: What the host has for each task.

    Raises:
        ImageError: A program's source cannot be found.
    """
    base = [*source_of(Kernel).modules, *source_of(Checked).modules]
    tasks = tuple(_view(spec, hosted[spec.task]) for spec in image.tasks)
    trusted = [module for view in tasks if view.trusted for module in source_of(hosted[view.task].program).modules]
    return Inspection(
        image_sha256=image.sha256,
        base=_by_part(base),
        tasks=tasks,
        total=_size([*base, *trusted]),
        powers={policy.name: tuple(_powers(image, policy)) for policy in policies},
    )


def as_json(inspection: Inspection) -> dict[str, Any]:
    """The inspection as plain values; keys are added in later versions, never changed."""
    tree = asdict(inspection)
    return {
        "schema": SCHEMA,
        "image_sha256": tree["image_sha256"],
        "trusted_computing_base": {"total": tree["total"], "base": tree["base"]},
        "tasks": tree["tasks"],
        "if_hostile": tree["powers"],
    }


# ---- how much ------------------------------------------------------------------------------------------------------


def _view(spec: TaskSpec, hosted: Hosted) -> TaskView:
    source = source_of(hosted.program)
    because = [f"holds `{device.name}`, by which it acts with no verdict" for device in hosted.devices if device.acts]
    if spec.task_class.security is not None:
        because.append("reports what the policy takes for true")
    return TaskView(
        task=spec.task,
        task_class=spec.task_class.name,
        trusted=bool(because),
        because=tuple(because),
        own=_size([source.own]),
        size=_size(source.modules),
        channels={connection.id: connection.target for connection in spec.connections},
        devices=tuple(device.name for device in hosted.devices),
    )


def _by_part(modules: Iterable[SourceModule]) -> dict[str, Size]:
    """The sizes by sub-package."""
    parts: dict[str, list[SourceModule]] = {}
    for module in modules:
        parts.setdefault(module.name.split(".")[1] if "." in module.name else "", []).append(module)
    return {part: _size(parts[part]) for part in sorted(parts)}


def _size(modules: Iterable[SourceModule]) -> Size:
    once = {module.name: module for module in modules}.values()
    return Size(len(once), sum(one.lines for one in once), sum(len(one.content) for one in once))


# ---- what each could do --------------------------------------------------------------------------------------------


def _powers(image: Image, policy: Policy) -> Iterable[Power]:
    rules = RuleIndex(policy.bindings)
    classes = {spec.task: spec.task_class.name for spec in image.tasks}
    for spec in image.tasks:
        source = classes[spec.task]
        for target in dict.fromkeys(connection.target for connection in spec.connections):
            for candidate in _selected(policy, "request", src=source, dst=classes[target]):
                yield _power(rules, candidate, spec.task, target)
        if spec.task_class.security is not None:
            for candidate in _selected(policy, "security", src=source):
                yield _power(rules, candidate, spec.task, "")


def _selected(policy: Policy, kind: Literal["request", "security"], **named: str) -> list[Candidate]:
    """The messages of a kind; none where the policy does not know a class, which is granted nothing then."""
    try:
        return selected(kind, named, policy.classes)
    except UnknownNames:
        return []


def _power(rules: RuleIndex, candidate: Candidate, task: str, to: str) -> Power:
    asked = rules.rules_for(candidate)
    answers = [constant_answer(rule.item) for rule in asked]
    if not asked or "deny" in answers:
        return Power(task, to, candidate.called, "never")
    weighing = tuple(_shown(rule) for rule, answer in zip(asked, answers, strict=True) if answer is None)
    return Power(task, to, candidate.called, "under rules" if weighing else "anything", weighing)


def _shown(rule: PlacedRule) -> str:
    """A rule with its place, as a verdict names it."""
    called = "choice" if isinstance(rule.item, Choice) else ".".join(rule.item.path.names)
    return f"{called} ({rule.item.span.place})"
