"""What a scenario file says: a YAML file checked by a pydantic model, with a line number for every mistake."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from scenarios.actions import AnyStep
from twin.core import PlantError, find_plant
from twin.scada import supervised_alarms

_MAX_BYTES = 1_000_000
PolicyName = Literal["permissive", "enforcing"]


class ScenarioError(Exception):
    """A scenario file is wrong; the message lists each mistake as `file:line: what`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Parameter(_Part):
    """A number that a run may set with `--set NAME=VALUE`."""

    description: str
    default: float
    low: float
    high: float
    unit: str = ""

    @model_validator(mode="after")
    def _default_is_in_range(self) -> Parameter:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"the default {self.default:g} is outside {self.low:g} to {self.high:g}")
        return self


class Techniques(_Part):
    """ATT&CK for ICS technique ids, by how far a run goes with them.

    Attributes:
        declared: Assumed to have happened before the start.
        executed: Carried out by the steps.
        effect: What the physics does if they succeed.
    """

    declared: list[str] = Field(default_factory=list)
    executed: list[str] = Field(default_factory=list)
    effect: list[str] = Field(default_factory=list)

    def all(self) -> list[str]:
        """Every id, in the order of the tiers."""
        return [*self.declared, *self.executed, *self.effect]


class Precedent(_Part):
    """What it is modelled on."""

    name: str
    attack_id: str = ""


class Expectation(_Part):
    """A statement about the result of a run: the value at a dotted path of the result, and its bound."""

    text: str
    value: str
    one_of: list[str] | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Expectation:
        if self.one_of is None and self.at_least is None and self.at_most is None:
            raise ValueError("an expectation needs `one_of`, `at_least` or `at_most`")
        return self


class Scenario(_Part):
    """One scenario.

    Attributes:
        id: `plant/name`.
        duration_s: Shortest run (s); steps stretched by a parameter make it longer.
        settle_s: How long a run goes on after its last step, at least (s).
        settings: The plant's initial condition.
        actors: The address from which each actor works.
        steps: What is done, by whom and when.
        expect: What must hold at the end, by policy.
        not_stopped: What the enforcing policy does not claim to stop, for the report's honesty.
    """

    schema_: Literal[1] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    title: str
    plant: str
    summary: str
    story: list[str] = Field(default_factory=list)
    precedent: Precedent | None = None
    techniques: Techniques = Techniques()
    duration_s: float = Field(gt=0, le=31_536_000)
    settle_s: float = Field(default=60, ge=0)
    settings: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    actors: dict[Literal["operator", "attacker"], str]
    steps: list[AnyStep] = Field(min_length=0, max_length=10_000)
    expect: dict[PolicyName, list[Expectation]] = Field(default_factory=dict)
    not_stopped: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _steps_fit_together(self) -> Scenario:
        seen: list[str] = []
        malfunctions: set[str] = set()
        for number, step in enumerate(self.steps, start=1):
            where = f"step {number} ({step.label or step.kind})"
            if step.after is not None and step.after not in seen:
                raise ValueError(f"{where} comes after `{step.after}`, which is no earlier step's id")
            if step.over_wire and step.by not in self.actors:
                raise ValueError(f"{where} is by `{step.by}`, who has no address under `actors`")
            if step.kind == "impair":
                malfunctions.add(step.name)
            if step.kind == "mend" and step.name not in malfunctions:
                raise ValueError(f"{where} mends `{step.name}`, which no earlier step impairs")
            for name in step.parameters():
                if name not in self.parameters:
                    raise ValueError(f"{where} reads the parameter `{name}`, which is not declared")
            if step.id:
                if step.id in seen:
                    raise ValueError(f"{where}: the id `{step.id}` is used twice")
                seen.append(step.id)
        return self

    @field_validator("actors")
    @classmethod
    def _actors_are_on_this_machine(cls, actors: dict[str, str]) -> dict[str, str]:
        for address in actors.values():
            try:
                local = ipaddress.IPv4Address(address).is_loopback
            except ValueError:
                local = False
            if not local:
                raise ValueError(f"`{address}` is no IPv4 address in 127.0.0.0/8, where all of a twin lives")
        return actors

    def chosen(self, given: Mapping[str, float]) -> dict[str, float]:
        """The value of every parameter, `given` ones checked.

        Raises:
            ScenarioError: A name is unknown or a value is out of its range.
        """
        values = {name: parameter.default for name, parameter in self.parameters.items()}
        for name, value in given.items():
            if name not in self.parameters:
                near = difflib.get_close_matches(name, list(self.parameters), n=1)
                hint = f"; did you mean `{near[0]}`?" if near else f"; it has: {', '.join(self.parameters) or 'none'}"
                raise ScenarioError(f"scenario `{self.id}` has no parameter `{name}`{hint}")
            low, high = self.parameters[name].low, self.parameters[name].high
            if not low <= value <= high:
                raise ScenarioError(f"parameter `{name}` = {value:g} is outside {low:g} to {high:g}")
            values[name] = value
        return values


def load_scenario(path: Path) -> Scenario:
    """Read and check one scenario file.

    Raises:
        ScenarioError: It cannot be read, is not YAML, or does not fit the schema.
    """
    try:
        raw = path.read_bytes()
    except OSError as failure:
        raise ScenarioError(f"{path}: cannot be read: {failure.strerror}") from failure
    if len(raw) > _MAX_BYTES:
        raise ScenarioError(f"{path}: is larger than {_MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as failure:
        mark = getattr(failure, "problem_mark", None)
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1"
        raise ScenarioError(f"{path}:{where}: is not YAML: {getattr(failure, 'problem', None) or failure}") from failure
    try:
        scenario = Scenario.model_validate(values)
    except ValidationError as failure:
        lines = [
            f"{path}:{_line_of(tree, error['loc'])}: "
            f"{'.'.join(str(part) for part in error['loc']) or 'scenario'}: {_plain(error)}"
            for error in failure.errors()
        ]
        raise ScenarioError("\n".join(lines)) from failure
    mistakes = [f"{path}:{_line_of(tree, place)}: {what}" for place, what in _unknown_names(scenario)]
    if mistakes:
        raise ScenarioError("\n".join(mistakes))
    return scenario


def _unknown_names(scenario: Scenario) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Points that no client of this plant can write and alarms it has not: where they stand, and what is wrong."""
    try:
        points = find_plant(scenario.plant).points().side("scada")
    except PlantError as failure:
        yield ("plant",), str(failure)
        return
    for number, step in enumerate(scenario.steps):
        for tag in step.tags():
            if tag not in points:
                near = difflib.get_close_matches(tag, [point.tag for point in points if point.writable], n=1)
                hint = f"; did you mean `{near[0]}`?" if near else ""
                yield ("steps", number), f"plant `{scenario.plant}` has no point `{tag}`{hint}"
            elif not points[tag].writable:
                yield ("steps", number), f"`{tag}` is a {points[tag].kind}, which nobody can write"
    known = [alarm.name for alarm in supervised_alarms(points)]
    for number, step in enumerate(scenario.steps):
        for name in set(step.alarms()).difference(known):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            yield ("steps", number), f"plant `{scenario.plant}` has no alarm `{name}`{hint}"


def _plain(error: Mapping[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return "this key is not known here"
    if error["type"] in ("missing", "value_error"):
        return message[:1].lower() + message[1:]
    return f"{message[:1].lower()}{message[1:]}, not `{str(error['input'])[:80]}`"


def _line_of(node: yaml.Node | None, path: Sequence[str | int]) -> int:
    """The line on which the value at `path` stands; as near as the tree goes."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                continue  # a step's kind appears in the path, but is no key
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
