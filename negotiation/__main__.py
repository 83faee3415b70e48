"""`python -m negotiation`: see cli.py."""

from manager.process import leave
from negotiation.cli import main

leave(main())
