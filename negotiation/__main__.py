"""Runs the command line: `python -m negotiation COMMAND`."""

from manager.machine.process import leave
from negotiation.cli.main import main

leave(main())
