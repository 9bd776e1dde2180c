"""Container sync: a container's objects are sent to another container, here or in another cloud, by who holds both keys.

Source: OpenStack Object Storage, "Container to Container Synchronization".
"""
