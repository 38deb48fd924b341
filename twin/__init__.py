"""Virtual plants with their control systems (ISA-95 levels 0 to 2)."""
