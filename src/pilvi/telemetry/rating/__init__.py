"""From what existed, how long and how large, to a bill. Pure, but for worker.py, which takes events and the census."""
