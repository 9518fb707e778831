"""``python -m qml`` is ``qml``."""

import sys

from qml.cli import main

sys.exit(main())
