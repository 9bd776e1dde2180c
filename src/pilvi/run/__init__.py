"""The only place that knows all services: it composes them into processes, starts and watches those, and is the command line."""
