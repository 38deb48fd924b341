"""The two ways into power-grid-model: its C API with prepared buffers, and its ordinary Python API.

Both do the same sums. The C way costs a small part of the time, because nothing is wrapped or looked up per solve; it
needs the path of the shared library, for which the package has no public function. That one private name is used in
`library_path` and nowhere else, so that a release that moves it costs speed (the Python way is taken) and no more.
"""

from __future__ import annotations

import ctypes
import weakref
from ctypes import c_char_p, c_double, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy.typing as npt
from power_grid_model import CalculationMethod, PowerGridModel
from power_grid_model.errors import PowerGridError

from twin.substation.columns import Columns, Table

Method = Literal["newton_raphson", "linear"]

_ERROR_TOLERANCE: Final = 1e-8  # per unit; 1e-12 fails on healthy networks, whose rounding floor is near 1e-10
_MAX_ITERATIONS: Final = 20

# PGM_CalculationMethod and PGM_CalculationType of power_grid_model_c/basics.h
_METHODS: Final = {"linear": 0, "newton_raphson": 1}
_POWER_FLOW: Final = 0
_SYMMETRIC: Final = 1


class SolveError(Exception):
    """The solver gave no result; the message is the solver's own."""


class CoreMissingError(Exception):
    """The solver's shared library cannot be found or lacks a function that is needed."""


class Engine(Protocol):
    """One model inside the solver, bound to one set of columns."""

    def update_loads(self) -> None:
        """Take over the columns of powers."""

    def update_switching(self) -> None:
        """Take over the columns of statuses and taps."""

    def calculate(self, method: Method) -> None:
        """Solve, and write the results into the columns; raises `SolveError`."""


def library_path() -> Path:
    """Where the solver's shared library is.

    Raises:
        CoreMissingError: This release keeps it somewhere else.
    """
    try:
        from power_grid_model._core.power_grid_model_c.get_pgm_dll_path import get_pgm_dll_path

        return Path(get_pgm_dll_path())
    except (ImportError, NotImplementedError) as failure:
        raise CoreMissingError(f"the library of power-grid-model is not where it was: {failure}") from failure


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(library_path()))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as failure:
        raise CoreMissingError(f"the library of power-grid-model does not serve: {failure}") from failure
    return library


# Result and argument types of the functions used, from the headers that the package ships (version 1.12).
_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "PGM_create_handle": (c_void_p, []),
    "PGM_destroy_handle": (None, [c_void_p]),
    "PGM_error_code": (c_int64, [c_void_p]),
    "PGM_error_message": (c_char_p, [c_void_p]),
    "PGM_clear_error": (None, [c_void_p]),
    "PGM_create_options": (c_void_p, [c_void_p]),
    "PGM_destroy_options": (None, [c_void_p]),
    "PGM_set_calculation_type": (None, [c_void_p, c_void_p, c_int64]),
    "PGM_set_calculation_method": (None, [c_void_p, c_void_p, c_int64]),
    "PGM_set_symmetric": (None, [c_void_p, c_void_p, c_int64]),
    "PGM_set_err_tol": (None, [c_void_p, c_void_p, c_double]),
    "PGM_set_max_iter": (None, [c_void_p, c_void_p, c_int64]),
    "PGM_create_dataset_const": (c_void_p, [c_void_p, c_char_p, c_int64, c_int64]),
    "PGM_destroy_dataset_const": (None, [c_void_p]),
    "PGM_dataset_const_add_buffer": (None, [c_void_p, c_void_p, c_char_p, c_int64, c_int64, c_void_p, c_void_p]),
    "PGM_dataset_const_add_attribute_buffer": (None, [c_void_p, c_void_p, c_char_p, c_char_p, c_void_p]),
    "PGM_create_dataset_mutable": (c_void_p, [c_void_p, c_char_p, c_int64, c_int64]),
    "PGM_destroy_dataset_mutable": (None, [c_void_p]),
    "PGM_dataset_mutable_add_buffer": (None, [c_void_p, c_void_p, c_char_p, c_int64, c_int64, c_void_p, c_void_p]),
    "PGM_dataset_mutable_add_attribute_buffer": (None, [c_void_p, c_void_p, c_char_p, c_char_p, c_void_p]),
    "PGM_create_model": (c_void_p, [c_void_p, c_double, c_void_p]),
    "PGM_destroy_model": (None, [c_void_p]),
    "PGM_update_model": (None, [c_void_p, c_void_p, c_void_p]),
    "PGM_calculate": (None, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
}


class CoreEngine:
    """The C API: datasets that point at the columns are made once, so an update or a solve is one call."""

    def __init__(self, columns: Columns, frequency_hz: float) -> None:
        self._columns = columns  # keeps the memory alive that the datasets point at
        self._c = _library()
        self._handle = self._owned(self._c.PGM_create_handle(), self._c.PGM_destroy_handle)
        given = self._rows("input", columns.given)
        self._model = self._owned(
            self._c.PGM_create_model(self._handle, frequency_hz, given), self._c.PGM_destroy_model
        )
        self._raise_error()
        self._loads = self._const("update", columns.loads)
        self._switching = self._const("update", columns.switching)
        self._output = self._mutable("sym_output", columns.results)
        self._options = {name: self._option(number) for name, number in _METHODS.items()}

    def update_loads(self) -> None:
        """Take over the columns of powers."""
        self._c.PGM_update_model(self._handle, self._model, self._loads)
        self._raise_error()

    def update_switching(self) -> None:
        """Take over the columns of statuses and taps."""
        self._c.PGM_update_model(self._handle, self._model, self._switching)
        self._raise_error()

    def calculate(self, method: Method) -> None:
        """Solve, and write the results into the columns; raises `SolveError`."""
        self._c.PGM_calculate(self._handle, self._model, self._options[method], self._output, None)
        self._raise_error()

    def _raise_error(self) -> None:
        if self._c.PGM_error_code(self._handle):
            message = (self._c.PGM_error_message(self._handle) or b"").decode(errors="replace").strip()
            self._c.PGM_clear_error(self._handle)
            raise SolveError(message)

    def _owned(self, pointer: int, destroy: Any) -> int:  # noqa: ANN401 - a foreign function
        """Have `pointer` given back when this engine is gone."""
        weakref.finalize(self, destroy, pointer)
        return pointer

    def _rows(self, kind: str, arrays: dict[str, npt.NDArray[Any]]) -> int:
        dataset = self._dataset(kind)
        for component, rows in arrays.items():
            name, size = component.encode(), len(rows)
            self._c.PGM_dataset_const_add_buffer(self._handle, dataset, name, size, size, None, rows.ctypes.data)
            self._raise_error()
        return dataset

    def _const(self, kind: str, table: Table) -> int:
        dataset = self._dataset(kind)
        self._fill(dataset, table, "const")
        return dataset

    def _dataset(self, kind: str) -> int:
        pointer = self._c.PGM_create_dataset_const(self._handle, kind.encode(), 0, 1)
        return self._owned(pointer, self._c.PGM_destroy_dataset_const)

    def _mutable(self, kind: str, table: Table) -> int:
        pointer = self._c.PGM_create_dataset_mutable(self._handle, kind.encode(), 0, 1)
        dataset = self._owned(pointer, self._c.PGM_destroy_dataset_mutable)
        self._fill(dataset, table, "mutable")
        return dataset

    def _fill(self, dataset: int, table: Table, kind: Literal["const", "mutable"]) -> None:
        add_buffer = getattr(self._c, f"PGM_dataset_{kind}_add_buffer")
        add_attribute = getattr(self._c, f"PGM_dataset_{kind}_add_attribute_buffer")
        for component, columns in table.items():
            name, size = component.encode(), len(next(iter(columns.values())))
            add_buffer(self._handle, dataset, name, size, size, None, None)
            for attribute, column in columns.items():
                add_attribute(self._handle, dataset, name, attribute.encode(), column.ctypes.data)
            self._raise_error()

    def _option(self, method: int) -> int:
        options = self._owned(self._c.PGM_create_options(self._handle), self._c.PGM_destroy_options)
        self._c.PGM_set_calculation_type(self._handle, options, _POWER_FLOW)
        self._c.PGM_set_calculation_method(self._handle, options, method)
        self._c.PGM_set_symmetric(self._handle, options, _SYMMETRIC)
        self._c.PGM_set_err_tol(self._handle, options, _ERROR_TOLERANCE)
        self._c.PGM_set_max_iter(self._handle, options, _MAX_ITERATIONS)
        self._raise_error()
        return options


class WrapperEngine:
    """The ordinary Python API, some ten times slower, with the same results."""

    def __init__(self, columns: Columns, frequency_hz: float) -> None:
        self._columns = columns
        try:
            self._model = PowerGridModel(input_data=columns.given, system_frequency=frequency_hz)
        except PowerGridError as failure:
            raise SolveError(str(failure)) from failure
        self._wanted = {component: list(found) for component, found in columns.results.items()}

    def update_loads(self) -> None:
        """Take over the columns of powers."""
        self._model.update(update_data=self._columns.loads)

    def update_switching(self) -> None:
        """Take over the columns of statuses and taps."""
        self._model.update(update_data=self._columns.switching)

    def calculate(self, method: Method) -> None:
        """Solve, and write the results into the columns; raises `SolveError`."""
        try:
            found = self._model.calculate_power_flow(
                symmetric=True,
                error_tolerance=_ERROR_TOLERANCE,
                max_iterations=_MAX_ITERATIONS,
                calculation_method=CalculationMethod[method],
                output_component_types=self._wanted,
            )
        except PowerGridError as failure:
            raise SolveError(str(failure)) from failure
        for component, columns in self._columns.results.items():
            for name, column in columns.items():
                column[:] = found[component][name]
