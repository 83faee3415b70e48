"""`python -m negotiation`: see cli.py."""

from manager.machine.process import leave
from negotiation.cli.main import main

leave(main())
