"""The command line: `pilvi up`, `down`, `status` and the commands that explain. Sub-commands load what they need when they run."""
from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="A complete, OpenStack-compatible cloud.")
image_app = typer.Typer(no_args_is_help=True, help="Guest images.")
app.add_typer(image_app, name="image")
ring_app = typer.Typer(no_args_is_help=True, help="The object store's rings: which devices hold what.")
app.add_typer(ring_app, name="object-ring")
host_app = typer.Typer(no_args_is_help=True, help="Other machines as hosts of this cloud.")
app.add_typer(host_app, name="host")
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 150)
"""Piped output is not folded at eighty columns: somebody reads it later."""
STATE = {"folder": ""}


def folder() -> Path:
    """The state folder."""
    default = "/var/lib/pilvi" if os.geteuid() == 0 else str(Path.home() / ".local/state/pilvi")
    return Path(STATE["folder"] or os.environ.get("PILVI_STATE") or default).absolute()


def say(text: str) -> None:
    """Progress, for people."""
    out.print(f"[dim]pilvi:[/] {text}")


def fail(text: str, code: int = 1) -> typer.Exit:
    """The end with a message."""
    Console(stderr=True, highlight=False).print(f"[red]pilvi:[/] {text}")
    return typer.Exit(code)


def settings_of() -> Any:
    """The cloud's settings; a clear word when there is none."""
    from pilvi.run import settings
    try: return settings.load(folder())
    except FileNotFoundError: raise fail(f"There is no cloud in {folder()}; start one with `pilvi up`.") from None


def admin() -> Any:
    """The cloud, as administrator."""
    from pilvi.core.errors import Failure
    from pilvi.run.furnish import Cloud
    try: return Cloud(settings_of(), "admin", "admin")
    except Failure as failure: raise fail(f"The cloud does not answer ({failure.message}). Is it up? `pilvi status`") from None


@app.command()
def up(
    simulated: Annotated[bool, typer.Option(help="No root, no QEMU, no OVN: the same APIs over simulated machines.")] = False,
    hosts: Annotated[int, typer.Option(help="How many simulated hosts.", min=1, max=10000)] = 1,
    empty: Annotated[bool, typer.Option(help="Without the first server.")] = False,
    foreground: Annotated[bool, typer.Option(help="Stay, show the log, end with Ctrl-C.")] = False,
    listen: Annotated[str, typer.Option(help="HOST:PORT of the APIs; the object store takes PORT+1.")] = "",
    public_url: Annotated[str, typer.Option(help="Where clients reach the APIs, if not at --listen: a name, a proxy.")] = "",
    seed: Annotated[int, typer.Option(help="Of a simulated cloud: makes chance repeat itself.")] = 0,
    failures: Annotated[str, typer.Option(help="Of a simulated cloud: rules NAME-PATTERN:METHOD[:TIMES] …")] = "",
    database_url: Annotated[str, typer.Option(help="postgresql+psycopg://… instead of SQLite files.")] = "",
    bus_url: Annotated[str, typer.Option(help="nats://… instead of a unix socket.")] = "",
    network_listen: Annotated[str, typer.Option(help="ADDRESS:PORT at which other hosts reach the network's database.")] = "",
    tunnel_address: Annotated[str, typer.Option(help="This machine's address for tunnels to other hosts.")] = "",
    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="The APIs speak TLS; the cloud makes its own authority.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="A certificate (with its chain) for TLS instead of an own one.")] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's key.")] = None,
    ca: Annotated[Path | None, typer.Option(help="What clients have to believe, if their systems do not know who signed it.")] = None,
    meter_seconds: Annotated[float, typer.Option(help="How often what machines do is sampled; 60 if not given.", min=0)] = 0,
    privileged_control: Annotated[bool, typer.Option(hidden=True, help="Control runs as root too.")] = False,
) -> None:
    """Starts the cloud in the background; the first time it makes flavors, networks, an image and a first server."""
    from pilvi.run import lifecycle, novnc, supervisor
    from pilvi.run import settings as choices
    from pilvi.run import tls as doors
    began = time.monotonic()
    directory = folder()
    known = choices.load(directory) if (directory / "cloud.json").exists() else None
    if os.geteuid() != 0 and not (simulated or (known and known.simulated)):
        raise fail("Real machines and networks need root. As root: `./pilvi up`. Without: `./pilvi up --simulated`, the same APIs over "
                   "simulated machines.", 2)
    if known and not known.control: raise fail(f"{directory} is a host of another cloud; start it with `pilvi agent`.", 2)
    running = lifecycle.running(directory)
    wish = known or choices.Settings(state=str(directory), simulated=simulated)
    if known and simulated and not known.simulated:
        raise fail(f"The cloud in {directory} is a real one; give another folder with --state.", 2)
    for name, value in (("listen", listen), ("public_url", public_url.rstrip("/")), ("hosts", hosts if hosts != 1 else 0), ("seed", seed),
                        ("failures", failures), ("database_url", database_url), ("bus_url", bus_url), ("network_listen", network_listen),
                        ("tunnel_address", tunnel_address), ("meter_seconds", meter_seconds), ("tls", tls),
                        ("certificate", _absolute(certificate)), ("key", _absolute(key)), ("authority", _absolute(ca))):
        if not value and value is not False: continue
        if not running: setattr(wish, name, value)
        elif value != getattr(wish, name): say(f"--{name.replace('_', '-')} is heeded after `pilvi down`")
    wish.unprivileged = os.geteuid() == 0 and not privileged_control
    if bool(wish.certificate) != bool(wish.key): raise fail("--certificate and --key belong together.", 2)
    if certificate and not running: wish.tls = True
    if running: say(f"the cloud in {directory} is up already")
    elif not wish.simulated: novnc.fetch(directory, say)
    try:
        if running: doors.prepare(wish)
        else: lifecycle.start(wish, say)
    except (supervisor.StartFailed, doors.CertificateUnfit) as failure: raise fail(str(failure)) from None
    _furnish(wish, empty, began)
    if foreground: _follow(directory)


def _absolute(path: Path | None) -> str:
    return str(path.absolute()) if path else ""


def _furnish(settings: Any, empty: bool, began: float) -> None:
    from pilvi.core.errors import Failure
    from pilvi.run import explain, furnish, ui
    guest = None if settings.simulated else guest_image(settings)
    try:
        furnish.furnish(settings, guest, say)
        told = None if empty else furnish.hello(settings, say)
        if told:
            spans = explain.spans_of(furnish.Cloud(settings, "demo", "demo"), told["server"]["id"])
            out.print(explain.trace_table(spans, f"The boot of “{told['server']['name']}”, step by step"))
    except (Failure, furnish.ServerFailed) as failure: raise fail(str(failure)) from None
    out.print(f"\n[bold green]The cloud is up[/] after {time.monotonic() - began:.1f} s at [bold]{settings.url}[/]")
    if told and not settings.simulated: out.print(f"  log in to it:   ssh -i {told['key']} root@{told['address']}")
    out.print(f"  use it:         export OS_CLIENT_CONFIG_FILE={settings.directory}/clouds.yaml OS_CLOUD=pilvi-demo"
              "   # administrator: pilvi")
    out.print("                  openstack server list")
    if ui.folder(settings.directory):
        out.print(f"  in a browser:   {settings.url}/dashboard   # demo or admin; their passwords are in clouds.yaml")


def guest_image(settings: Any) -> Path:
    """The small guest's image; built once."""
    from pilvi.image.guest.build import build
    target = settings.directory / "guest"
    path = target / "pilvi-guest.qcow2"
    if not path.exists():
        say("building the guest image from Debian's packages")
        build(target, cache_dir=target / "packages", progress=say)
    return Path(path)


def _follow(directory: Path) -> None:
    """Shows the log until Ctrl-C or SIGTERM, then takes the cloud down."""
    from pilvi.run import lifecycle
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (directory / "logs" / "control.log").open() as log:
            log.seek(0, os.SEEK_END)
            while lifecycle.running(directory):
                line = log.readline()
                if line: sys.stdout.write(line)
                else: time.sleep(0.3)
    except KeyboardInterrupt: pass
    down()


@app.command()
def down() -> None:
    """Stops the cloud: guests power off and are remembered; nothing is lost."""
    from pilvi.run import lifecycle
    if not lifecycle.running(folder()): say("it was not up")
    lifecycle.stop(folder())
    say("the cloud is down; `pilvi up` brings everything back")


@app.command()
def status() -> None:
    """Processes, memory, addresses, health."""
    from rich.table import Table

    from pilvi.core.errors import Failure
    from pilvi.core.http import trust
    from pilvi.core.http.client import Message, Socket
    from pilvi.run import supervisor
    settings = settings_of()
    trust.believe(settings.authority_path)
    table = Table("process", "state", "pid", "up", "memory", "restarts", box=None, header_style="bold", pad_edge=False)
    total = 0
    for one in supervisor.status(settings.directory):
        total += one.memory_bytes or 0
        memory = "?" if one.memory_bytes is None else f"{one.memory_bytes / 1e6:.0f} MB"
        table.add_row(one.name, one.state, str(one.pid or ""), f"{one.uptime_seconds:.0f} s", memory, str(one.restarts))
    for path in sorted(settings.run_directory.glob("**/*.pid")):
        if path.parent == settings.run_directory: continue
        try: pid = int(path.read_text().split()[0])
        except (OSError, ValueError): continue
        used = supervisor.memory(pid)
        total += used or 0
        table.add_row(path.stem, "ready" if Path(f"/proc/{pid}").exists() else "stopped", str(pid), "", f"{(used or 0) / 1e6:.0f} MB", "")
    out.print(table)
    try: health = Socket(settings.url).send(Message("GET", "/healthcheck")).json()
    except Failure as failure: health = {"healthy": False, "problems": {"api": failure.message}}
    out.print(f"in all {total / 1e6:.0f} MB; APIs at {settings.url}; {'healthy' if health['healthy'] else health['problems']}")
    if not health["healthy"]: raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """What this machine can do, what is missing, and the command to get it."""
    from pilvi.run import doctor as checks
    kernel = folder() / "guest" / "vmlinuz"
    out.print(checks.render(checks.examine(folder(), kernel if kernel.exists() else None)))


@app.command()
def trace(server: str) -> None:
    """The 29 steps of a server's boot."""
    from pilvi.run import explain
    cloud = admin()
    try: found = explain.find_server(cloud, server)
    except LookupError as failure: raise fail(str(failure)) from None
    out.print(explain.trace_table(explain.spans_of(cloud, found["id"]), f"The boot of “{found['name']}”, step by step"))


@app.command("explain")
def explain_(what: Annotated[str, typer.Argument(help="server, or policy")], name: str,
             as_user: Annotated[str, typer.Option("--as",
                 help="policy: whose eyes (a user of clouds.yaml: admin or demo; or USER@PROJECT).")] = "demo") -> None:
    """Why a server is as it is, or why policy allows or refuses."""
    from pilvi.run import explain, permission
    try:
        if what == "server": out.print(explain.story(admin(), name))
        elif what == "policy": out.print("\n".join(permission.policy(settings_of(), name, as_user)))
        else: raise fail("I can explain: server NAME, policy RULE --as USER", 2)
    except LookupError as failure: raise fail(str(failure)) from None


@app.command("audit")
def audit_(after: Annotated[int, typer.Option(help="Only records behind this number.")] = 0,
           check: Annotated[Path | None, typer.Option(help="Check an exported file instead.")] = None) -> None:
    """Prints the audit log, one JSON object a line, and checks its chain of hashes on the way."""
    import json

    from pilvi.run import audit
    try:
        if check is not None:
            count, last = audit.check(check)
            say(f"{count} records hold; the last hash is {last}")
            return
        for record in audit.records(admin(), after): print(json.dumps(record))
    except audit.LogBroken as broken: raise fail(f"the audit log does not hold: {broken}") from None


@app.command()
def hold(server: str, release: Annotated[bool, typer.Option("--release", help="Let it be looked after again.")] = False) -> None:
    """Leaves a server alone: whatever becomes of its machine, nothing is repaired until --release."""
    from pilvi.core.errors import Failure
    from pilvi.run import explain
    cloud = admin()
    try:
        found = explain.find_server(cloud, server)
        cloud.ask("compute", "PUT", f"/v2.1/servers/{found['id']}/pilvi-hold", {"held": not release})
    except (LookupError, Failure) as failure: raise fail(str(failure)) from None
    say(f"{found['name']} is {'looked after again' if release else 'held: only what its users ask for is done to it'}")


@app.command()
def why(source: str, target: str, port: Annotated[int | None, typer.Argument()] = None, protocol: str = "tcp") -> None:
    """Would a packet from server A get to B (server or address)? Names the rule or route that decides."""
    from pilvi.core.errors import Failure
    from pilvi.run import explain
    try: verdict = explain.why(admin(), source, target, port, protocol)
    except (LookupError, Failure) as failure: raise fail(str(failure)) from None
    out.print(f"[{'green' if verdict['passes'] else 'red'}]{'passes' if verdict['passes'] else 'is dropped'}[/]: {verdict['reason']}")
    raise typer.Exit(0 if verdict["passes"] else 1)


@app.command()
def report(server: str) -> None:
    """Packs all that is known about a server into a file, secrets removed."""
    from pilvi.run import explain
    try: out.print(str(explain.report(admin(), server, Path.cwd())))
    except LookupError as failure: raise fail(str(failure)) from None


@app.command()
def invoice(
    project: str, month: Annotated[str, typer.Option(help="2026-11; this month if nothing is given.")] = "",
    begin: Annotated[str, typer.Option("--from", help="2026-11-01T00:00:00Z")] = "",
    end: Annotated[str, typer.Option("--to", help="2026-11-15T00:00:00Z")] = "",
    currency: Annotated[str, typer.Option(help="If not the configured one.")] = "",
    csv: Annotated[Path | None, typer.Option(help="A file of this name instead of the screen.")] = None,
) -> None:
    """What a project used in a period, to the second, and what it costs."""
    from pilvi.core.errors import Failure
    from pilvi.run import invoice as bills
    from pilvi.telemetry.rating.bill import as_csv
    try: bill = bills.fetch(admin(), project, month, begin, end, currency)
    except (LookupError, Failure) as failure: raise fail(str(failure)) from None
    if csv: csv.write_text(as_csv(bill["lines"]), newline="")
    else: out.print(bills.table(bill, project))


@app.command()
def certificate(names: Annotated[list[str], typer.Argument(help="The other server's names and addresses.")],
                to: Annotated[Path, typer.Option(help="A folder for NAME.crt and NAME.key.")] = Path()) -> None:
    """Makes a certificate by the cloud's own authority for a broker or database of this cloud."""
    from pilvi.run import tls
    settings = settings_of()
    if not settings.tls or settings.certificate: raise fail("This cloud has no authority of its own (`pilvi up --tls`).")
    out.print(" ".join(str(path) for path in tls.issue(settings, names, to)))


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Empties the cloud: everything in it is lost."""
    from pilvi.run import lifecycle
    settings = settings_of()
    if not yes and not typer.confirm(f"Everything in the cloud in {folder()} will be lost. Go on?"): raise typer.Exit(1)
    lifecycle.stop(folder())
    lifecycle.reset(settings)
    say("the cloud is empty; `pilvi up` begins anew")


@app.command()
def backup(target: Path, disks: Annotated[bool,
        typer.Option(help="With the disks of servers and volumes; the cloud should be down.")] = False) -> None:
    """Saves database, keys, network state and images."""
    from pilvi.run import lifecycle
    try: out.print(str(lifecycle.backup(settings_of(), target.absolute(), disks=disks)))
    except lifecycle.Refused as failure: raise fail(str(failure)) from None


@app.command()
def restore(archive: Path) -> None:
    """Puts a backup back."""
    from pilvi.run import lifecycle
    try: lifecycle.restore(folder(), archive.absolute())
    except lifecycle.Refused as failure: raise fail(str(failure)) from None
    say("restored; `pilvi up` starts it")


@app.command()
def uninstall(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Removes the cloud and only those packages that `up` installed."""
    from pilvi.run import lifecycle
    if not yes and not typer.confirm(f"The cloud in {folder()} and all in it will be removed. Go on?"): raise typer.Exit(1)
    lifecycle.uninstall(folder(), say)


@host_app.command("add")
def host_add(name: str, to: Annotated[Path | None, typer.Option(help="A file of this name, 0600, instead of the screen.")] = None) -> None:
    """Lets a machine join this cloud as a host: writes the secret that `pilvi agent --join` wants there."""
    from pilvi.run import join
    try: made = join.add(admin(), name)
    except join.NotReady as failure: raise fail(str(failure)) from None
    if to: join.write(made, to)
    else: sys.stdout.write(join.text(made).decode())


@host_app.command("remove")
def host_remove(name: str) -> None:
    """Puts a host out: its agent cannot sign in any more."""
    from pilvi.run import join
    if not join.remove(admin(), name): raise fail(f"No host {name} was ever added.")
    say(f"{name} is out; its servers run on until that machine is taken down")


@app.command()
def agent(join: Annotated[Path | None, typer.Option(help="The file that `pilvi host add` wrote; only the first time.")] = None,
          tunnel_address: Annotated[str, typer.Option(help="This machine's address for tunnels, if not the one towards the APIs.")] = "",
          ) -> None:
    """Runs this machine as a host of a cloud elsewhere, in the background; `pilvi down` ends it."""
    from pilvi.run import join as joining
    from pilvi.run import lifecycle, supervisor
    try: wish = joining.accept(joining.read(join), folder(), tunnel_address) if join else settings_of()
    except (OSError, ValueError) as failure: raise fail(f"{join} cannot be used: {failure}", 2) from None
    if wish.control: raise fail("This machine has a cloud of its own; give another folder with --state.", 2)
    if os.geteuid() != 0 and not wish.simulated: raise fail("Real machines and networks need root.", 2)
    if lifecycle.running(folder()): raise fail("The host runs already; `pilvi down` first.")
    try: lifecycle.start(wish, say)
    except supervisor.StartFailed as failure: raise fail(str(failure)) from None
    say(f"host {wish.host_name} works for {wish.url}")


RING = Annotated[str, typer.Option("--ring", help="account, container, object, object-1 …; all if not given.")]


@ring_app.command("show")
def ring_show() -> None:
    """Devices, balance, dispersion."""
    from pilvi.run import object_cli
    object_cli.show(settings_of())


@ring_app.command("add")
def ring_add(node: str, url: str, devices: Annotated[list[str], typer.Argument(help="NAME[:WEIGHT] …")], zone: int = 1, region: int = 1,
             ring: RING = "") -> None:
    """Adds a node's devices; `rebalance` then gives them partitions."""
    from pilvi.objectstore.cluster import administer
    from pilvi.run import object_cli
    try: named = object_cli.devices_of(devices)
    except ValueError as failure: raise fail(f"NAME[:WEIGHT], please: {failure}", 2) from None
    administer.add(object_cli.directory(settings_of()), node, url, named, region=region, zone=zone, only=ring)


@ring_app.command("weight")
def ring_weight(node: str, weight: float, device: Annotated[str, typer.Option(help="One device; all of the node's if not given.")] = "",
                ring: RING = "") -> None:
    """Weighs a node's devices anew; 0 drains them."""
    from pilvi.objectstore.cluster import administer
    from pilvi.run import object_cli
    try: administer.weigh(object_cli.directory(settings_of()), node, device, weight, ring)
    except administer.NoSuchDevice as failure: raise fail(f"No ring has {failure}.") from None


@ring_app.command("double")
def ring_double(ring: Annotated[str, typer.Argument(help="object, object-1 …")] = "object") -> None:
    """Gives a ring of objects twice the partitions, while it serves; its nodes refile what they hold in the background."""
    from pilvi.objectstore.cluster import administer
    from pilvi.run import object_cli
    try: partitions = administer.double(object_cli.directory(settings_of()), ring)
    except ValueError as failure: raise fail(str(failure), 2) from None
    out.print(f"{ring}: {partitions} partitions")


@ring_app.command("remove")
def ring_remove(node: str, device: Annotated[str, typer.Option(help="One device; all of the node's if not given.")] = "",
                ring: RING = "") -> None:
    """Takes out devices that are gone; the next `rebalance` gives their partitions to others."""
    from pilvi.objectstore.cluster import administer
    from pilvi.run import object_cli
    try: administer.weigh(object_cli.directory(settings_of()), node, device, None, ring)
    except administer.NoSuchDevice as failure: raise fail(f"No ring has {failure}.") from None


@ring_app.command("tune")
def ring_tune(replicas: Annotated[float | None, typer.Option(help="Copies; 2.5 means a third one of half of the partitions.")] = None,
              overload: Annotated[float | None, typer.Option(help="By how much a weight may be exceeded to keep copies apart.")] = None,
              min_part_hours: Annotated[int | None, typer.Option(help="For so long a partition's other copies stay.")] = None,
              ring: RING = "") -> None:
    """Changes what rebalancing aims at."""
    from pilvi.objectstore.cluster import administer
    from pilvi.run import object_cli
    administer.tune(object_cli.directory(settings_of()), replicas=replicas, overload=overload, min_part_hours=min_part_hours, only=ring)


@ring_app.command("rebalance")
def ring_rebalance(ring: RING = "") -> None:
    """Makes new rings; the processes take them within seconds and move what must move."""
    from pilvi.run import object_cli
    object_cli.rebalance(settings_of(), ring)


@ring_app.command("node-file")
def ring_node_file(name: str, listen: Annotated[str, typer.Argument(help="ADDRESS:PORT of the node")], target: Path) -> None:
    """Writes the file with which `pilvi object-node --join` begins; it holds the store's secret."""
    from pilvi.run import object_cli
    object_cli.write_node_file(settings_of(), name, listen, target)


@app.command("object-node")
def object_node(join: Annotated[Path | None, typer.Option(help="The file of `pilvi object-ring node-file`; only the first time.")] = None,
                ) -> None:
    """Runs a node of the object store, in the foreground, its devices under the state folder; ends with Ctrl-C or SIGTERM."""
    from pilvi.run import object_cli
    object_cli.run_node(folder(), join)


@image_app.command("build")
def image_build(target: Path) -> None:
    """Builds the small guest image from Debian's packages, without root."""
    from pilvi.image.guest.build import build
    made = build(target, cache_dir=target / "packages", progress=say)
    out.print(f"{made.qcow2}  {made.version}")


def main() -> None:
    """Takes --state from anywhere on the line, then runs the command."""
    words, rest = [], iter(sys.argv[1:])
    for word in rest:
        if word == "--state": STATE["folder"] = next(rest, "")
        elif word.startswith("--state="): STATE["folder"] = word.partition("=")[2]
        else: words.append(word)
    app(words, prog_name="pilvi")


if __name__ == "__main__": main()
