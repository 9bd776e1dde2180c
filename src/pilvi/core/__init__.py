"""What every service stands on, and knows none of: resources, states, tasks, messages, HTTP, database."""
