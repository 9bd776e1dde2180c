"""Stores of volumes. A driver is one file and one line in the map; all of them pass tests/contract/test_volume_driver.py."""
from pilvi.volume.drivers.file import Files
from pilvi.volume.drivers.simulated import Simulated

DRIVERS = {
    "file": Files,
    "simulated": Simulated,
}
