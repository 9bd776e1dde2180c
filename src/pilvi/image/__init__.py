"""Image: disk images and their facts, whole, checked and shared as their owners wish.

Counterpart: OpenStack Glance. API: v2 (2.9). Its hard idea: bytes that may be many gigabytes stream through without being held in memory,
become an image only when all of them have arrived, were hashed and are what they were said to be, and leave nothing behind otherwise.
"""
