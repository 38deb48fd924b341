"""A second reading of the language: short, obvious and slow, to hold the engine against."""
