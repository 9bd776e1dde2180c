"""How measures come in by themselves: `servers` from the hosts, `events` from the services, `census` by counting."""
