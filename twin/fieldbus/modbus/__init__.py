"""Modbus, server and client, over TCP and in memory."""
