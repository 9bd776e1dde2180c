"""Identity: who may do what, for every service, and the catalogue of services.

Counterpart: OpenStack Keystone. API: v3 (3.14). Its hard idea: tokens that need no database (Fernet) and yet can be revoked at once.
"""
