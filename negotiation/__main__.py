"""`python -m negotiation`: see cli.py."""

import sys

from negotiation.cli import main

sys.exit(main())
