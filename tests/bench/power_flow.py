"""How long one change of all loads, one solve and one reading of the result take, by both ways into the solver."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from twin.substation.network import auriga
from twin.substation.power_flow import Backend, PowerFlow

ROUNDS = 8
SOLVES: dict[Backend, int] = {"c": 2000, "python": 200}


def run() -> None:
    """Print microseconds per solve through the C API and the Python API, and their ratio, best of eight rounds."""
    works = {backend: _work(backend) for backend in SOLVES}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):  # turn and turn about, so that both meet the same machine
        for backend, work in works.items():
            best[backend] = min(best[backend], _seconds_each(work, SOLVES[backend]))
    microseconds = {backend: seconds * 1e6 for backend, seconds in best.items()}
    print(f"power flow, 20 nodes, C API:      {microseconds['c']:7.1f} us per load change and solve")
    print(f"power flow, 20 nodes, Python API: {microseconds['python']:7.1f} us per load change and solve")
    print(f"ratio:                            {microseconds['python'] / microseconds['c']:7.1f}")


def _work(backend: Backend) -> Callable[[int], None]:
    network = auriga()
    power_flow = PowerFlow(network, backend=backend)
    if power_flow.backend != backend:
        raise RuntimeError(f"the {backend} way cannot be measured here: {power_flow.why}")
    active = np.array([load.p_w for load in network.loads])
    reactive = np.array([load.q_var for load in network.loads])

    def change_and_solve(step: int) -> None:
        power_flow.update(load_p_w=active * (1 - 1e-6 * step), load_q_var=reactive)
        power_flow.solve()

    return change_and_solve


def _seconds_each(work: Callable[[int], None], times: int) -> float:
    begin = time.process_time()
    for step in range(times):
        work(step)
    return (time.process_time() - begin) / times


if __name__ == "__main__":
    run()
