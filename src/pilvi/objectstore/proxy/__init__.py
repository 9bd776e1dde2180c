"""The proxy: what a request becomes behind the middleware. Accounts, containers, objects; conditions and ranges; the door to HTTP."""
