"""Stateless decisions at 10, 1,000 and 10,000 rules: ours, a dict as the floor, and other engines called from Python.

The rules are `(subject, action, object)`, `low <= v <= high` and `mode == m`; what no rule speaks of is denied. Half of
the requests are granted; of the others a third names an unknown triple, a third a value out of range, a third the
wrong mode. Each engine and size has a process of its own, pinned to one core, without garbage collection; rounds are
interleaved, and before anything is timed every answer is held against an oracle.

To the others' favour their requests are put together beforehand and their rules are parsed once, in the form that suits
them best; ours gets what a kernel holds: a connection and a method's number.
Others: `pip install -c constraints.txt -e '.[bench]'`; without them the table shows ours and the floor.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

SIZES = (10, 1_000, 10_000)
REQUESTS = 4_000
ROUNDS = 5
SECONDS = 0.2
NEEDS = {"regorus": "opa_eval", "cedarpy": "cedarpy", "cedarpy-batch": "cedarpy", "casbin-fast": "casbin"}
ENGINES = ("ours", "ours-python", "ours-events", "dict", *NEEDS)
BATCH = 200
LOADS = 3


# ---- the workload --------------------------------------------------------------------------------------------------


class Workload:
    """Rules and requests of one size; the same in every process."""

    def __init__(self, size):
        source = random.Random(size)
        self.subjects = self.objects = max(4, round(size**0.5))
        self.methods = max(4, round(4 * size**0.25))
        every = self.subjects * self.objects * self.methods
        self.triples = [self._triple(number) for number in source.sample(range(every), size)]
        self.rules = {
            triple: (low, low + source.randrange(50, 100), source.randrange(4))
            for triple in self.triples
            for low in (source.randrange(100),)
        }
        self.requests = [self._request(source) for _ in range(REQUESTS)]
        self.expected = [self._oracle(*request) for request in self.requests]

    def _triple(self, number):
        rest, method = divmod(number, self.methods)
        subject, target = divmod(rest, self.objects)
        return f"S{subject}", f"M{method}", f"O{target}"

    def _request(self, source):
        triple = source.choice(self.triples)
        low, high, mode = self.rules[triple]
        value, kind = source.randint(low, high), source.randrange(6)
        if kind == 0:
            while triple in self.rules:
                triple = self._triple(source.randrange(self.subjects * self.objects * self.methods))
        elif kind == 1:
            value = source.choice((low - 1 - source.randrange(50), high + 1 + source.randrange(50)))
        elif kind == 2:
            mode = (mode + 1) % 4
        return triple, value, mode

    def _oracle(self, triple, value, mode):
        rule = self.rules.get(triple)
        return rule is not None and rule[0] <= value <= rule[1] and mode == rule[2]


# ---- the engines: each makes a function that decides all requests, and what it answers -----------------------------


def dict_engine(work):
    """The floor: a dictionary by the triple, then the tests in place."""
    table, requests = dict(work.rules), [(*triple, value, mode) for triple, value, mode in work.requests]

    def decide():
        granted = 0
        find = table.get
        for subject, method, target, value, mode in requests:
            rule = find((subject, method, target))
            if rule is not None and rule[0] <= value <= rule[1] and mode == rule[2]:
                granted += 1
        return granted

    def one(number):
        subject, method, target, value, mode = requests[number]
        rule = table.get((subject, method, target))
        return rule is not None and rule[0] <= value <= rule[1] and mode == rule[2]

    return decide, one, {}


def policy_text(work):
    """The rules in PSL, one binding each."""
    head = ["execute: kl.core.Execute", "use EDL kl.core.Core", "use EDL Einit"]
    head += [f"use EDL b.{name}{number}" for name in "SO" for number in range(work.subjects)]
    rows = (
        f"request src=b.{subject} dst=b.{target} endpoint=e method={method} {{"
        f" assert (message.v >= {low} && message.v <= {high} && message.mode == {mode}) }}"
        for (subject, method, target), (low, high, mode) in work.rules.items()
    )
    return "\n".join([*head, *rows, ""])


def describe(work, folder):
    """The classes and the interface that the policy speaks of."""
    (folder / "b").mkdir()
    methods = "\n".join(f"M{number}(in SInt32 v, in UInt8 mode);" for number in range(work.methods))
    (folder / "b/Api.idl").write_text(f"package b.Api\ninterface {{\n{methods}\n}}\n")
    for number in range(work.subjects):
        (folder / f"b/S{number}.edl").write_text(f"task class b.S{number}\n")
        (folder / f"b/O{number}.edl").write_text(f"task class b.O{number}\nendpoints {{\n e : b.Api\n}}\n")


def load_ours(work):
    """A ready engine, what it was made of, and the memory that it took."""
    from secureos.policy import Engine, compile_policy, parse
    from secureos.xdl import Catalogue
    from secureos.xdl.source import source_from_text

    with tempfile.TemporaryDirectory() as folder:
        describe(work, Path(folder))
        catalogue = Catalogue([Path(folder)])
        for name in "SO":
            for number in range(work.subjects):
                catalogue.task_class(f"b.{name}{number}")
        source = source_from_text(policy_text(work), name="bench.psl")
        parse(source_from_text("execute: kl.core.Execute\n", name="warm.psl"))
        gc.collect()
        before = memory_mb()
        policy = compile_policy(source, catalogue)
        loaded_mb = memory_mb() - before
        engine = Engine(policy)
        engine_mb = memory_mb() - before - loaded_mb
    return engine, (source, catalogue), {"policy_mb": loaded_mb, "engine_mb": engine_mb}


def load_figures(source, catalogue):
    """Milliseconds from the text, from the tree, and for the engine alone: the best of some times."""
    times = [load_times(source, catalogue) for _ in range(LOADS)]
    parsed, compiled, ready = (min(column) * 1e3 for column in zip(*times, strict=True))
    return {"text_ms": compiled + ready, "tree_ms": max(0.0, compiled - parsed) + ready, "engine_ms": ready}


def load_times(source, catalogue):
    """Seconds to the tree, to the checked policy (with the tree), and from there to the engine."""
    from secureos.policy import Engine, compile_policy, parse

    gc.collect()
    marks = [time.perf_counter()]
    parse(source)
    marks.append(time.perf_counter())
    policy = compile_policy(source, catalogue)
    marks.append(time.perf_counter())
    Engine(policy)
    marks.append(time.perf_counter())
    return [end - begin for begin, end in pairwise(marks)]


def our_engine(work):
    """What a kernel does: it holds the connection and knows the method's number."""
    from secureos.policy.shapes import count_shapes

    engine, made_of, figures = load_ours(work)
    engine.advance(1)
    before, began = memory_mb(), time.perf_counter()
    requests = []
    for (subject, method, target), value, mode in work.requests:
        connection = engine.connect(f"b.{subject}", f"b.{target}")
        requests.append((connection.request, engine.method_id(connection.dst, "e", method), value, mode))
    figures["connect_us"] = (time.perf_counter() - began) / len(requests) * 1e6
    every = [(engine.connect(f"b.{s}", f"b.{t}"), engine.method_id(f"b.{t}", "e", m)) for s, m, t in work.rules]
    began = time.perf_counter()
    for connection, number in every:
        connection.request[number](1, 2, 0, 0)
    figures["first_us"] = (time.perf_counter() - began) / len(every) * 1e6
    figures["used_mb"], figures["shapes"] = memory_mb() - before, count_shapes()
    figures |= load_figures(*made_of)

    def decide():
        granted = 0
        for held, number, value, mode in requests:
            if held[number](1, 2, value, mode) == 0:
                granted += 1
        return granted

    def one(position):
        held, number, value, mode = requests[position]
        return held[number](1, 2, value, mode) == 0

    return decide, one, figures


def our_events(work):
    """The general entrance: an event with all its names in, a verdict out."""
    from secureos.policy import Event

    engine, _, _ = load_ours(work)
    events = [
        Event("request", 1, 1, 2, f"b.{subject}", f"b.{target}", "e", method, {"v": value, "mode": mode})
        for (subject, method, target), value, mode in work.requests
    ]

    def decide():
        return sum(engine.decide(event).granted for event in events)

    return decide, lambda number: engine.decide(events[number]).granted, {}


def regorus_engine(work):
    """regorus (PyPI `opa-eval`) in its best form: one rule, the table of rules as data, requests as prepared JSON."""
    import opa_eval

    nested = {}
    for (subject, method, target), (low, high, mode) in work.rules.items():
        nested.setdefault(subject, {}).setdefault(method, {})[target] = {"lo": low, "hi": high, "m": mode}
    text = (
        "package bench\nimport rego.v1\ndefault allow := false\n"
        "allow if {\n r := data.rules[input.s][input.a][input.o]\n"
        " input.v >= r.lo\n input.v <= r.hi\n input.m == r.m\n}\n"
    )
    rows = [{"s": s, "a": a, "o": o, "v": value, "m": mode} for (s, a, o), value, mode in work.requests]
    requests = [json.dumps(row) for row in rows]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench.rego")
        path.write_text(text)
        engine = opa_eval.OpaEval(str(path), data_json=json.dumps({"rules": nested}), query="data.bench.allow")
    figures = {"text_ms": (time.perf_counter() - began) * 1e3}

    def decide():
        evaluate = engine.evaluate
        for request in requests:
            evaluate(request)

    return decide, lambda number: engine.evaluate_parsed(requests[number]) is True, figures


def cedar_parts(work):
    """Cedar's best form: one policy, each rule the attributes of an entity; everything parsed beforehand."""
    import cedarpy

    began = time.perf_counter()
    policies = cedarpy.PolicySet.from_str(
        "permit(principal, action, resource) when { resource has lo && context.v >= resource.lo &&"
        " context.v <= resource.hi && context.m == resource.m };"
    )
    entities = cedarpy.Entities.from_json_str(
        json.dumps(
            [
                {
                    "uid": {"type": "R", "id": "/".join(triple)},
                    "attrs": {"lo": low, "hi": high, "m": mode},
                    "parents": [],
                }
                for triple, (low, high, mode) in work.rules.items()
            ]
        )
    )
    requests = [
        {
            "principal": f'S::"{triple[0]}"',
            "action": f'Action::"{triple[1]}"',
            "resource": f'R::"{"/".join(triple)}"',
            "context": {"v": value, "m": mode},
        }
        for triple, value, mode in work.requests
    ]
    return cedarpy, policies, entities, requests, {"text_ms": (time.perf_counter() - began) * 1e3}


def cedarpy_engine(work):
    """One request at a time."""
    cedarpy, policies, entities, requests, figures = cedar_parts(work)

    def decide():
        ask = cedarpy.is_authorized
        for request in requests:
            ask(request, policies, entities)

    return decide, lambda number: cedarpy.is_authorized(requests[number], policies, entities).allowed, figures


def cedarpy_batches(work):
    """Two hundred requests at a time."""
    cedarpy, policies, entities, requests, figures = cedar_parts(work)
    batches = [requests[start : start + BATCH] for start in range(0, len(requests), BATCH)]

    def decide():
        for batch in batches:
            cedarpy.is_authorized_batch(batch, policies, entities)

    def one(number):
        return cedarpy.is_authorized_batch([requests[number]], policies, entities)[0].allowed

    return decide, one, figures


def casbin_engine(work):
    """pycasbin's FastEnforcer, which looks rules up by the triple."""
    import casbin

    model = """[request_definition]
r = s, a, o, v, m
[policy_definition]
p = s, a, o, lo, hi, m
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.s == p.s && r.a == p.a && r.o == p.o && r.v >= to_int(p.lo) && r.v <= to_int(p.hi) && r.m == to_int(p.m)
"""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.conf").write_text(model)
        rows = (f"p, {s}, {a}, {o}, {low}, {high}, {mode}" for (s, a, o), (low, high, mode) in work.rules.items())
        Path(folder, "policy.csv").write_text("\n".join(rows))
        enforcer = casbin.FastEnforcer(f"{folder}/model.conf", f"{folder}/policy.csv", cache_key_order=[0, 1, 2])
    enforcer.add_function("to_int", int)
    requests = [(*triple, value, mode) for triple, value, mode in work.requests]
    figures = {"text_ms": (time.perf_counter() - began) * 1e3}

    def decide():
        for request in requests:
            enforcer.enforce(*request)

    return decide, lambda number: enforcer.enforce(*requests[number]), figures


MAKERS = {
    "ours": our_engine,
    "ours-python": our_engine,
    "ours-events": our_events,
    "dict": dict_engine,
    "regorus": regorus_engine,
    "cedarpy": cedarpy_engine,
    "cedarpy-batch": cedarpy_batches,
    "casbin-fast": casbin_engine,
}


# ---- one process for each engine and size --------------------------------------------------------------------------


def memory_mb():
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def pin():
    """To the last core that there is, so that rounds of all engines meet the same one."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def child(name, size):
    """Check every answer, then answer each line of input with the figures of one round."""
    pin()
    work = Workload(size)
    decide, one, figures = MAKERS[name](work)
    began = time.perf_counter()
    checked = 0
    for number, expected in enumerate(work.expected):
        if bool(one(number)) is not expected:
            sys.exit(f"{name} answers request {number} wrongly: {work.requests[number]}")
        checked += 1
        if time.perf_counter() - began > 3 and checked >= 40:  # slow engines are checked on as many as time allows
            break
    gc.collect()
    gc.freeze()
    gc.disable()
    print(json.dumps({"checked": checked, **figures}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(one_round(decide, one)), flush=True)


def one_round(decide, one):
    """Decisions per second, and the spread of single decisions with the timer's own cost in it (us)."""
    clock, passes, began = time.perf_counter, 0, time.perf_counter()
    while clock() - began < SECONDS or not passes:
        decide()
        passes += 1
    rate = passes * REQUESTS / (clock() - began)
    singles, deadline = [], clock() + SECONDS
    for number in range(REQUESTS):
        start = clock()
        one(number)
        end = clock()
        singles.append(end - start)
        if end > deadline:
            break
    cuts = statistics.quantiles(singles, n=100)
    return {"rate": rate, "p50": cuts[49] * 1e6, "p99": cuts[98] * 1e6}


def measure(names, sizes):
    """The best round of each engine and size, with its other figures; rounds are interleaved."""
    found = {}
    for size in sizes:
        running = {name: start(name, size) for name in names}
        rows = {name: json.loads(process.stdout.readline() or "{}") for name, process in running.items()}
        for _ in range(ROUNDS):
            for name, process in running.items():
                if not rows[name]:
                    continue
                process.stdin.write("\n")
                process.stdin.flush()
                row = json.loads(process.stdout.readline())
                if row["rate"] > rows[name].get("rate", 0):
                    rows[name].update(row)
        for name, process in running.items():
            process.stdin.close()
            process.wait()
            found[name, size] = rows[name]
    return found


def start(name, size):
    """A process that answers rounds."""
    command = [sys.executable, "-m", "tests.bench.policy_decisions", name, str(size)]
    chosen = {"HOLDFAST_POLICY_BACKEND": "python"} if name == "ours-python" else {}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **chosen}
    )


# ---- the table -----------------------------------------------------------------------------------------------------


def run():
    """Print the table, the ratios and the load figures, each beside what it should be."""
    names = [name for name in ENGINES if name not in NEEDS or find_spec(NEEDS[name])]
    missing = sorted({NEEDS[name] for name in NEEDS if name not in names})
    if missing:
        print(f"not installed: {', '.join(missing)}; `pip install -c constraints.txt -e '.[bench]'` adds them")
    from secureos.policy import backend

    found = measure(names, SIZES)
    print(f"`ours` decides with the {backend()} back end, `ours-python` without what may have been built")
    print(f"{'decisions/s':16}" + "".join(f"{size:>12,}" for size in SIZES) + "   p50 / p99 us at each size")
    for name in names:
        rows = [found[name, size] for size in SIZES]
        rates = "".join(f"{row['rate']:12,.0f}" if "rate" in row else f"{'wrong':>12}" for row in rows)
        spread = "  ".join(f"{row['p50']:.2f}/{row['p99']:.2f}" for row in rows if "p50" in row)
        print(f"{name:16}{rates}   {spread}")
    _ratios(found, names)
    _load(found)


def _ratios(found, names):
    ours = {size: found["ours", size]["rate"] for size in SIZES}
    goals = {"regorus": 40, "cedarpy": 500}
    for peer, forms in (("regorus", ("regorus",)), ("cedarpy", ("cedarpy", "cedarpy-batch")), ("dict", ("dict",))):
        if forms[0] in names:
            ratios = [ours[size] / max(found[form, size]["rate"] for form in forms) for size in SIZES]
            goal = f"  (goal {goals[peer]})" if peer in goals else ""
            print(f"ours over {peer:8}" + "".join(f"{ratio:12,.1f}" for ratio in ratios) + goal)
    print(f"growth of the time of one decision from 10 to 10,000 rules: {ours[10] / ours[10_000]:.2f}  (goal <= 2)")


def _load(found):
    for size in SIZES:
        row = found["ours", size]
        print(
            f"{size:6,} bindings: from text {row['text_ms']:.0f} ms, from the tree {row['tree_ms']:.0f} ms"
            f" (engine alone {row['engine_ms']:.0f} ms),"
            f" policy {row['policy_mb']:.1f} MB, engine {row['engine_mb']:.1f} MB;"
            f" every decision used once: {row['used_mb']:.1f} MB more, {row['first_us']:.0f} us each,"
            f" {row['shapes']} code objects; connecting {row['connect_us']:.0f} us"
        )
    print("goals at 10,000: text 1,500 ms, tree 150 ms, 10 MB")


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]))
