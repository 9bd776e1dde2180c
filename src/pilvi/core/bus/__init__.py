"""Messages between processes: call, cast, fanout. They carry hints; the truth is in the database."""
