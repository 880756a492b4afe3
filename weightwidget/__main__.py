"""``python -m weightwidget`` does what the command ``weightwidget`` does."""

import sys

from weightwidget.cli import main

if __name__ == "__main__":
    sys.exit(main())
