"""The plant's nodes as a NodeSet2 document (part 6, annex F)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from xml.etree import ElementTree

from asyncua.common.xmlexporter import XmlExporter

from twin.fieldbus.opcua.nodes import PLANT_NAMESPACE

_SCHEMA: Final = "http://opcfoundation.org/UA/2011/03/UANodeSet.xsd"
# All types used here are in version 1.04 of the standard, and in every one since.
_STANDARD: Final = {
    "ModelUri": "http://opcfoundation.org/UA/",
    "Version": "1.04",
    "PublicationDate": "2019-05-01T00:00:00Z",
}


async def nodeset(server: Any, namespace: str, date: datetime) -> str:  # noqa: ANN401
    """The nodes of the plant's namespace, with what their properties say but without the values of points.

    Args:
        server: The library's server.
        namespace: Of the plant.
        date: What is written as the date of publication.
    """
    space = server.iserver.aspace
    chosen = [node for node in space.keys() if node.NamespaceIndex == PLANT_NAMESPACE]  # noqa: SIM118 -- no mapping
    exporter = XmlExporter(server)
    await exporter.build_etree([server.get_node(node) for node in chosen])
    root = exporter.etree.getroot()
    models = ElementTree.Element("Models")
    published = date.strftime("%Y-%m-%dT%H:%M:%SZ")
    model = ElementTree.SubElement(models, "Model", ModelUri=namespace, Version="1.0.0", PublicationDate=published)
    ElementTree.SubElement(model, "RequiredModel", _STANDARD)
    root.insert(1, models)
    root.set("xmlns", _SCHEMA)
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode", xml_declaration=False)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'
