"""python -m marketsim."""

import sys

from marketsim.cli import main

sys.exit(main())
