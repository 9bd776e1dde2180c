"""What can keep a guest image from being built; the message says what to do about it."""


class GuestBuildFailed(Exception):
    """The image was not built. The message names the cause and, where there is one, the remedy."""
