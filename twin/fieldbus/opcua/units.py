"""Engineering units as OPC UA names them: UNECE Recommendation 20 (part 8, clause 5.6.3)."""

from __future__ import annotations

from typing import Final

from asyncua import ua

_NAMESPACE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"

# Symbol in points.csv: common code, and the name in the recommendation.
_UNECE: Final[dict[str, tuple[str, str]]] = {
    "%": ("P1", "percent"),
    "1/s": ("C97", "reciprocal second"),
    "A": ("AMP", "ampere"),
    "GJ/h": ("P16", "gigajoule per hour"),
    "Hz": ("HTZ", "hertz"),
    "K": ("KEL", "kelvin"),
    "MJ/kg": ("JK", "megajoule per kilogram"),
    "MPa": ("MPA", "megapascal"),
    "MVA": ("MVA", "megavolt - ampere"),
    "MW": ("MAW", "megawatt"),
    "MWh": ("MWH", "megawatt hour"),
    "Mvar": ("MAR", "megavar"),
    "Pa": ("PAL", "pascal"),
    "V": ("VLT", "volt"),
    "VA": ("D46", "volt - ampere"),
    "W": ("WTT", "watt"),
    "Wh": ("WHR", "watt hour"),
    "bar": ("BAR", "bar [unit of pressure]"),
    "d": ("DAY", "day"),
    "deg": ("DD", "degree [unit of angle]"),
    "degC": ("CEL", "degree Celsius"),
    "h": ("HUR", "hour"),
    "kA": ("B22", "kiloampere"),
    "kPa": ("KPA", "kilopascal"),
    "kV": ("KVT", "kilovolt"),
    "kVA": ("KVA", "kilovolt - ampere"),
    "kW": ("KWT", "kilowatt"),
    "kWh": ("KWH", "kilowatt hour"),
    "kg": ("KGM", "kilogram"),
    "kg/h": ("E93", "kilogram per hour"),
    "kg/m3": ("KMQ", "kilogram per cubic metre"),
    "kg/s": ("KGS", "kilogram per second"),
    "kvar": ("KVR", "kilovar"),
    "kvarh": ("K3", "kilovolt ampere reactive hour"),
    "l": ("LTR", "litre"),
    "l/s": ("G51", "litre per second"),
    "m": ("MTR", "metre"),
    "m/s": ("MTS", "metre per second"),
    "m3": ("MTQ", "cubic metre"),
    "m3/h": ("MQH", "cubic metre per hour"),
    "mA": ("4K", "milliampere"),
    "mbar": ("MBR", "millibar"),
    "mg/m3": ("GP", "milligram per cubic metre"),
    "min": ("MIN", "minute [unit of time]"),
    "mm": ("MMT", "millimetre"),
    "mm/s": ("C16", "millimetre per second"),
    "ms": ("C26", "millisecond"),
    "ohm": ("OHM", "ohm"),
    "ppm": ("59", "part per million"),
    "rpm": ("RPM", "revolutions per minute"),
    "s": ("SEC", "second [unit of time]"),
    "t": ("TNE", "tonne (metric ton)"),
    "t/h": ("E18", "tonne per hour"),
    "var": ("D44", "var"),
    "°C": ("CEL", "degree Celsius"),
}


def engineering_unit(symbol: str) -> ua.EUInformation:
    """What a client is told of a unit; UnitId -1 where the recommendation has no code for it.

    The identifier is made of the code's characters, one byte each (part 8, clause 5.6.3.3).
    """
    code, name = _UNECE.get(symbol, ("", symbol))
    return ua.EUInformation(
        NamespaceUri=_NAMESPACE,
        UnitId=ua.Int32(int.from_bytes(code.encode("ascii")) if code else -1),
        DisplayName=ua.LocalizedText(symbol),
        Description=ua.LocalizedText(name),
    )
