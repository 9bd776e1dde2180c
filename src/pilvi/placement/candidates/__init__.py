"""The search for providers that can take a request: what is asked, what there is, which fit. Pure."""
