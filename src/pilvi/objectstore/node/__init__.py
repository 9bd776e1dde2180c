"""What holds bytes: devices with object files and databases, in this process or behind HTTP."""
