"""YAML as plain values, of bytes that nobody has vouched for yet.

Two things that YAML allows are refused here, because a reader of the file would be told something else than the
program: a key that stands in a mapping twice, of which the last would count; and aliases, by which a short file
stands for more than any memory holds.
"""

from __future__ import annotations

import yaml


class YamlMistake(Exception):
    """It is no YAML that is read here; the text says where and why."""


def yaml_tree(raw: bytes) -> object:
    """The values of one document.

    Raises:
        YamlMistake: It is no YAML, or more than plain values.
    """
    try:
        for event in yaml.parse(raw, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise YamlMistake(f"{_at(event)}is not YAML: an alias stands here; write out what it stands for")
        return yaml.load(raw, Loader=_Plain)
    # What PyYAML's constructors make of a value that does not fit its tag: a 99th day, `!!bool maybe`, `!!int ''`.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as failure:
        raise YamlMistake(f"{_at(failure)}is not YAML: {getattr(failure, 'problem', None) or failure}") from failure


def _at(found: object) -> str:
    mark = getattr(found, "problem_mark", None) or getattr(found, "start_mark", None)
    return f"{mark.line + 1}:{mark.column + 1}: " if mark else ""


class _Plain(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"key `{key.value[:80]}` stands here a second time"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return super().construct_mapping(node, deep)
