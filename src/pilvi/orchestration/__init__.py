"""Orchestration: stacks of resources from templates. Heat's API v1 and HOT up to 2021-04-16.

Its hard idea: a stack's graph becomes one durable task per resource, released when what it requires is done, and a new wish (update,
rollback, delete) replaces the tasks of the old one at any moment without losing what those had made.
"""
