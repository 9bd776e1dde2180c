"""The only place that knows all services: it composes them into processes, starts and watches those, and is the command line."""
import os
import sys

# structlog loads rich wherever that is installed, to print for terminals: 5 MB and 50 ms of each process that writes JSON into a log.
if "PILVI_READY_FD" in os.environ: sys.modules["rich"] = None  # type: ignore[assignment]
