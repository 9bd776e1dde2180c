"""Compute: servers, from the request to the running machine, on pluggable hypervisors.

Counterpart: OpenStack Nova. API: v2.1, microversions 2.1 to 2.96. Its hard idea: a boot is a durable task of 29 visible steps over five
actors, any of which may die at any moment, and nothing is ever stuck or left over.
"""
