"""What a server is told at its start: the template's user data, as it is, or among the parts that cloud-init takes.

Source: Template Guide, "OS::Nova::Server", user_data_format; cloud-init, "User-data formats".

RAW: as it is. HEAT_CFNTOOLS: a MIME archive that keeps it below /var/lib/heat-cfntools, with the resource's metadata, and runs it.
SOFTWARE_CONFIG: a MIME archive whose parts cloud-init acts upon, and the metadata.
"""
from __future__ import annotations

import email
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import msgspec

FOLDER = "/var/lib/heat-cfntools"
CONFIG = f"""#cloud-config
cloud_config_modules:
 - locale
 - set_hostname
 - ssh
 - timezone
 - update_etc_hosts
 - update_hostname
 - runcmd
bootcmd:
 - [mkdir, -p, -m, '700', {FOLDER}]
"""
PART_HANDLER = f'''#part-handler
"""Keeps parts of the type text/x-cfninitdata as files."""
import os


def list_types():
    return ["text/x-cfninitdata"]


def handle_part(data, content_type, filename, payload):
    if content_type in ("__begin__", "__end__"):
        return
    os.makedirs("{FOLDER}", mode=0o700, exist_ok=True)
    descriptor = os.open(os.path.join("{FOLDER}", os.path.basename(filename)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700)
    with os.fdopen(descriptor, "wb") as file:
        file.write(payload if isinstance(payload, bytes) else payload.encode())
'''
RUN = f"""#!/bin/sh
# Runs the stack's user data, and remembers how it ended.
log=/var/log/heat-provision.log
"{FOLDER}/cfn-userdata" >> "$log" 2>&1
status=$?
echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) cfn-userdata ended with $status" >> "$log"
[ "$status" = 0 ] && touch "{FOLDER}/provision-finished"
exit "$status"
"""


def build(text: str, style: str, metadata: dict[str, Any]) -> str:
    """The user data to send. Text that is a MIME archive itself gives its parts to a SOFTWARE_CONFIG one."""
    if style == "RAW": return text
    parts = [_part(CONFIG, "cloud-config", "cloud-config"), _part(PART_HANDLER, "part-handler", "part-handler.py")]
    if style == "HEAT_CFNTOOLS": parts.append(_part(text, "x-cfninitdata", "cfn-userdata"))
    else: parts += _given(text)
    if metadata: parts.append(_part(msgspec.json.encode(metadata).decode(), "x-cfninitdata", "cfn-init-data"))
    if style == "HEAT_CFNTOOLS" and text: parts.append(_part(RUN, "x-shellscript", "run-userdata.sh"))
    return MIMEMultipart(_subparts=parts).as_string()


def _given(text: str) -> list[Any]:
    message = email.message_from_string(text)
    if not message.is_multipart(): return [_part(text, "plain", "")] if text else []
    return [part for part in message.walk() if not part.is_multipart()]


def _part(text: str, kind: str, name: str) -> MIMEText:
    part = MIMEText(text, kind, "us-ascii" if text.isascii() else "utf-8")
    if name: part.add_header("Content-Disposition", "attachment", filename=name)
    return part
