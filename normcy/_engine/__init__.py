"""The compiled engine, which computes norms over plain memory without Python objects; src/README.md has the map."""
