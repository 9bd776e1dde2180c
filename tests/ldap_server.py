"""An LDAP server of the tests' own: Debian's slapd on a loopback port, with a folder of its own, run by an unprivileged user."""
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.outside.clouds import free_port

SLAPD = Path("/usr/sbin/slapd")
SUFFIX = "dc=corp"
READER = f"cn=reader,{SUFFIX}"
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
{tls}
sizelimit size.soft={size_limit} size.hard={size_limit} size.prtotal=unlimited
database mdb
maxsize 10485760
dbnosync
suffix "{suffix}"
rootdn "cn=root,{suffix}"
rootpw root-secret
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn="cn=reader,{suffix}" read by * none
"""
PEOPLE = {"jo": "Jo Doe", "kim": "Kim", "off": "Switched Off", "star*": "Star", "par(en)": "Paren", "ünï": "Ünïcode", "twin": "Twin"}
"""{uid: cn}; passwords are the uid with -secret behind."""
LDIF = f"""
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: {READER}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: reader-secret

dn: ou=people,{SUFFIX}
objectClass: organizationalUnit
ou: people

dn: ou=robots,{SUFFIX}
objectClass: organizationalUnit
ou: robots

dn: ou=teams,{SUFFIX}
objectClass: organizationalUnit
ou: teams

dn: uid=robot,ou=robots,{SUFFIX}
objectClass: inetOrgPerson
uid: robot
cn: Robot
sn: Robot
userPassword: robot-secret

dn: cn=devs,ou=teams,{SUFFIX}
objectClass: groupOfNames
cn: devs
description: those who write it
member: uid=jo,ou=people,{SUFFIX}
member: uid=off,ou=people,{SUFFIX}
member: uid=robot,ou=robots,{SUFFIX}
member: uid=nobody,ou=people,{SUFFIX}

dn: cn=ops,ou=teams,{SUFFIX}
objectClass: groupOfNames
cn: ops
member: uid=kim,ou=people,{SUFFIX}

dn: cn=posix,ou=teams,{SUFFIX}
objectClass: posixGroup
cn: posix
gidNumber: 100
memberUid: kim
"""
OPTIONS = {
    "user": READER, "password": "reader-secret", "suffix": SUFFIX, "user_tree_dn": f"ou=people,{SUFFIX}", "user_id_attribute": "uid",
    "user_name_attribute": "uid", "user_enabled_attribute": "employeeType", "group_tree_dn": f"ou=teams,{SUFFIX}",
    "group_id_attribute": "cn", "group_name_attribute": "cn"}
"""A domain's options for this server, but for its url."""


class Slapd:
    """One server. It may be stopped and started again at the same port."""

    def __init__(self, *, tls: str = "", size_limit: str = "500", files: Mapping[str, bytes] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pilvi-ldap-", dir="/var/tmp"))
        self.owner = "nobody" if os.getuid() == 0 else None
        (self.folder / "data").mkdir()
        config = self.folder / "slapd.conf"
        config.write_text(CONFIG.format(folder=self.folder, suffix=SUFFIX, size_limit=size_limit, tls=tls.format(folder=self.folder)))
        for name, data in (files or {}).items(): (self.folder / name).write_bytes(data)
        (self.folder / "corp.ldif").write_text(LDIF + "".join(_person(uid, name) for uid, name in PEOPLE.items()))
        if self.owner:
            for each in (self.folder, *self.folder.rglob("*")): shutil.chown(each, self.owner)
        subprocess.run(["/usr/sbin/slapadd", "-q", "-f", config, "-l", self.folder / "corp.ldif"], check=True, user=self.owner, cwd="/")
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it answers; on a port that somebody has taken meanwhile it does not come up, and the next one is tried."""
        for _ in range(5):
            port = self.port or free_port()
            self.process = subprocess.Popen([SLAPD, "-f", self.folder / "slapd.conf", "-h", f"ldap://127.0.0.1:{port}/", "-d", "0"],
                                            user=self.owner, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._answers(port):
                self.port = port
                return
        raise TimeoutError("slapd did not start")

    def _answers(self, port: int) -> bool:
        assert self.process is not None
        for _ in range(600):
            if self.process.poll() is not None: return False
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5): return True
            except OSError: time.sleep(0.05)
        return False

    def change(self, ldif: str) -> None:
        """Applies changes (ldapmodify's format) as its administrator."""
        subprocess.run(["ldapmodify", "-x", "-H", self.url, "-D", f"cn=root,{SUFFIX}", "-w", "root-secret"], input=ldif.encode(),
                       check=True, stdout=subprocess.DEVNULL, timeout=60)

    def stop(self) -> None:
        """Ends it."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def remove(self) -> None:
        """Ends it and removes its files."""
        self.stop()
        shutil.rmtree(self.folder)


def _person(uid: str, name: str) -> str:
    """An entry; who is called off is switched off."""
    switched = "employeeType: FALSE\n" if uid == "off" else ""
    dn = f"uid={uid},ou=people,{SUFFIX}"
    lines = f"objectClass: inetOrgPerson\nuid: {uid}\ncn: {name}\nsn: {name}\nmail: {uid}@corp\nuserPassword: {uid}-secret\n{switched}"
    return f"\ndn: {dn}\n{lines}"


def ldap_server() -> Iterator[Slapd]:
    """For a fixture: a server that is removed at the end."""
    if not SLAPD.exists(): pytest.skip("slapd is not installed")
    server = Slapd()
    try: yield server
    finally: server.remove()
