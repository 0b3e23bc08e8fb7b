"""``python -m normcy``: the same as the command ``normcy``."""

import sys

from normcy._cli import main

if __name__ == "__main__":  # worker processes import this module again under another name
    sys.exit(main())
