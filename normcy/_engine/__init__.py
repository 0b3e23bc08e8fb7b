"""The compiled engine: norms over plain memory, without a Python object; src/README.md has the map."""
