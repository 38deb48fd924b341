"""A plant's zones and conduits as plain text and as Mermaid."""

from __future__ import annotations

from collections.abc import Iterator

from twin.core.zones import AttackerPosition, Network, Zone


def as_text(network: Network) -> str:
    """One paragraph per zone, the conduits between them, and where attackers may sit."""
    return "\n".join(_text(network)) + "\n"


def _text(network: Network) -> Iterator[str]:
    yield network.title
    for zone in network.zones:
        yield ""
        yield f"zone {zone.name}: {_zone_title(zone)}"
        for host in network.hosts_of(zone.name):
            yield f"  {host.name}: {host.title}{f', {host.address}' if host.address else ''}"
            if host.runs_image:
                yield from (f"    task {task}" for task in network.wiring.tasks)
                yield from (f"    {c.source} -> {c.target} ({c.name})" for c in network.wiring.channels)
    for conduit in network.conduits:
        yield ""
        wire = f", wire {conduit.wire}" if conduit.wire else ""
        yield f"conduit {conduit.name}: {conduit.title}, {' to '.join(network.joined(conduit))}{wire}"
        yield from (f"  {c.source} -> {c.target} ({', '.join(c.protocols)})" for c in conduit.channels)
    for attacker in network.attackers:
        yield ""
        yield f"attacker {attacker.name}: {attacker.title}, at {attacker.at}"
        if attacker.reaches:
            yield f"  reaches {', '.join(attacker.reaches)}"
        yield f"  meets {attacker.meets}"


def _zone_title(zone: Zone) -> str:
    addresses = f", {zone.addresses}" if zone.addresses else ""
    return f"{zone.title}, level {zone.level}{addresses}"


def as_mermaid(network: Network) -> str:
    """A flowchart: zones as subgraphs, conduits as arrows between hosts and tasks, attackers as hexagons."""
    return "\n".join(_mermaid(network)) + "\n"


def _mermaid(network: Network) -> Iterator[str]:
    yield "flowchart TB"
    for zone in network.zones:
        yield f"  subgraph {_id('zone', zone.name)}[{_quoted(_zone_title(zone))}]"
        for host in network.hosts_of(zone.name):
            if host.runs_image:
                yield f"    subgraph {_id('host', host.name)}[{_quoted(host.title)}]"
                yield "      direction LR"
                yield from (f"      {_id('host', f'{host.name}/{t}')}[{_quoted(t)}]" for t in network.wiring.tasks)
                yield "    end"
            else:
                yield f"    {_id('host', host.name)}[{_quoted(host.title)}]"
        yield from (_position(one) for one in network.attackers_in(zone.name))
        yield "  end"
    yield from _arrows(network)
    guests = network.guests()
    for one in network.attackers:
        if one in guests:
            yield _position(one)
            yield f"  {_id('attacker', one.name)} -.- {_id('host', one.at)}"
        yield from (f"  {_id('attacker', one.name)} -.-> {_id('host', place)}" for place in one.reaches)
    if network.attackers:
        yield "  classDef attacker stroke:#B3001B,stroke-dasharray:4 3,color:#B3001B"


def _arrows(network: Network) -> Iterator[str]:
    controller = next(host.name for host in network.hosts if host.runs_image)
    for held in network.wiring.channels:
        ends = [_id("host", f"{controller}/{task}") for task in (held.source, held.target)]
        yield f"  {ends[0]} -->|{_quoted(held.name)}| {ends[1]}"
    for conduit in network.conduits:
        for channel in conduit.channels:
            label = _quoted(f"{conduit.title}: {', '.join(channel.protocols)}")
            yield f"  {_id('host', channel.source)} ==>|{label}| {_id('host', channel.target)}"


def _position(attacker: AttackerPosition) -> str:
    return f"    {_id('attacker', attacker.name)}{{{{{_quoted(attacker.title)}}}}}:::attacker"


def _id(kind: str, name: str) -> str:
    """An identifier; no two names of one kind share it, since names hold no dots and few other signs."""
    return f"{kind}_{name.replace('/', '__').replace('-', '_d_')}"


def _quoted(text: str) -> str:
    """A label; of all signs, Mermaid takes only the quotation mark amiss in it."""
    return '"' + text.replace('"', "#quot;") + '"'
