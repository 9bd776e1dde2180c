"""The part of compute that runs on each host, as root: takes tasks, asks the APIs, drives the hypervisor."""
