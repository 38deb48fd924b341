"""What every twin is made of: time, points, the plant protocol, chance, the recorder."""

from twin.core.clock import NS_PER_S, Clock, ClockError, Phase, ns
from twin.core.pacer import Pacer
from twin.core.plant import EnvelopeLimit, Plant, PlantError, PlantKind, find_plant, plant_names
from twin.core.points import Point, PointsError, PointTable
from twin.core.recorder import Recorder, Row
from twin.core.streams import Streams

__all__ = [
    "NS_PER_S",
    "Clock",
    "ClockError",
    "EnvelopeLimit",
    "Pacer",
    "Phase",
    "Plant",
    "PlantError",
    "PlantKind",
    "Point",
    "PointTable",
    "PointsError",
    "Recorder",
    "Row",
    "Streams",
    "find_plant",
    "ns",
    "plant_names",
]
