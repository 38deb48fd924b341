"""Screens: what people see of a running twin, in a browser. No physics and no policy here."""
