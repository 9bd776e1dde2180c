"""Which packages follow from the wanted ones, from apt's own words; nothing is asked or downloaded."""
from __future__ import annotations

from pilvi.image.guest.packages import closure, parse_dependencies

ANSWER = """\
curl
  Depends: libc6
  Depends: libcurl4
  Depends: zlib1g
dropbear-bin
  PreDepends: init-system-helpers
 |Depends: libcrypt1
 |Depends: libcrypt-other
  Depends: libxcrypt
  Depends: libc6
libcurl4
  Depends: libc6
  Depends: <libssl-virtual>
    libssl3
  Depends: debconf
linux-image-cloud-amd64
  Depends: linux-image-6.1-cloud-amd64
<libssl-virtual>
  libssl3
"""


def test_dependencies_take_the_first_alternative() -> None:
    found = parse_dependencies(ANSWER)
    assert found["dropbear-bin"] == ["init-system-helpers", "libcrypt1", "libc6"]
    assert found["curl"] == ["libc6", "libcurl4", "zlib1g"]


def test_closure_follows_libraries_and_the_kernel_only() -> None:
    found = closure(["curl", "dropbear-bin", "linux-image-cloud-amd64"], parse_dependencies(ANSWER))
    assert found == {"curl", "dropbear-bin", "linux-image-cloud-amd64", "linux-image-6.1-cloud-amd64",
                     "libc6", "libcrypt1", "libcurl4", "zlib1g"}


def test_closure_ends_where_packages_need_each_other() -> None:
    assert closure(["liba"], {"liba": ["libb"], "libb": ["liba"]}) == {"liba", "libb"}
