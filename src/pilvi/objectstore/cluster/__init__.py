"""The whole of the devices as one store: where things lie, quorums, stand-ins, and reading from the next copy when one fails."""
