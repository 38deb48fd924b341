"""A small component operating system; it knows no plant, no simulator, no protocol and no screen."""
