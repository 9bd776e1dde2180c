"""Where measures lie: `sql`, the service's own database."""
