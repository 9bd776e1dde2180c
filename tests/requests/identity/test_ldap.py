"""A domain whose users a real LDAP server has: its configuration, what is refused, changes over there, and a server that is away."""
from __future__ import annotations

import datetime
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text
from tests.ldap_server import OPTIONS, PEOPLE, SUFFIX, Slapd, ldap_server
from tests.requests.identity.cloud import Client

from pilvi.core.http import auth
from pilvi.core.http.app import Application
from pilvi.identity.directory import lookup
from pilvi.identity.directory.mirror import public_id
from pilvi.identity.drivers.interface import Refused, Unanswered
from pilvi.identity.drivers.ldap import Ldap

DEVS = f"cn=devs,ou=teams,{SUFFIX}"


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    yield from ldap_server()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was heard of a directory is not kept: the next question hears anew."""
    monkeypatch.setattr(lookup, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(lookup, "AWAY_SECONDS", 0.0)


def configure(admin: Client, domain_id: str, **options: Any) -> None:
    config = {"config": {"identity": {"driver": "ldap"}, "ldap": OPTIONS | options}}
    reply = admin.ask("PUT", f"/v3/domains/{domain_id}/config", config)
    assert reply.status == 201, reply.body


@pytest.fixture
def corp(admin: Client, slapd: Slapd) -> str:
    """The domain's id."""
    domain_id = str(admin.make("domain", name="corp")["id"])
    configure(admin, domain_id, url=slapd.url)
    return domain_id


def sign_in(client: Client, name: str, domain_id: str, password: str | None = None, scope: Any = None) -> Any:
    who = {"name": name, "domain": {"id": domain_id}, "password": f"{name}-secret" if password is None else password}
    return Client(client.application).authenticate({"methods": ["password"], "password": {"user": who}}, scope)


def one(admin: Client, kind: str, name: str, domain_id: str) -> dict[str, Any]:
    (found,) = admin.get(f"/v3/{kind}s?domain_id={domain_id}&name={name}")[f"{kind}s"]
    return dict(found)


def test_the_password_is_never_shown_and_not_legible_at_rest(admin: Client, corp: str) -> None:
    path = f"/v3/domains/{corp}/config"
    shown = admin.get(path)["config"]
    assert shown["ldap"]["suffix"] == SUFFIX and not {"password", "user"} & shown["ldap"].keys()
    assert admin.ask("GET", f"{path}/ldap/password").status == 404
    changed = admin.ask("PATCH", f"{path}/ldap/password", {"config": {"password": "another-secret"}})
    assert changed.status == 200 and "another-secret" not in str(changed.body)
    with admin.application.database.read() as db: row = str(db.execute(text("SELECT * FROM identity_domain_configs")).all())
    assert "secret" not in row and "reader" not in row and SUFFIX in row
    assert sign_in(admin, "jo", corp).status == 503, "the changed password is the one in force"
    assert admin.ask("DELETE", f"{path}/ldap/password").status == 204
    assert admin.ask("DELETE", f"{path}/ldap/password").status == 404
    assert admin.ask("PATCH", f"{path}/ldap/nonsense", {"config": {"nonsense": 1}}).status == 403


def test_ids_are_those_of_keystone() -> None:
    """So what names them elsewhere stays right when a cloud moves here. (The digest was computed with sha256sum.)"""
    assert public_id("default", "user", "jo") == "1305d90bf6b7b897e76081d48a3bea07a05d9b8e2018f49efda7a28aab017e2f"


def test_nothing_is_written_there(admin: Client, corp: str, slapd: Slapd) -> None:
    jo, devs, demo = one(admin, "user", "jo", corp)["id"], one(admin, "group", "devs", corp)["id"], "user-demo"
    own = admin.make("group", name="own")["id"]
    refused = [
        admin.ask("POST", "/v3/users", {"user": {"name": "new", "domain_id": corp}}),
        admin.ask("PATCH", f"/v3/users/{jo}", {"user": {"description": "x"}}),
        admin.ask("PATCH", f"/v3/users/{jo}", {"user": {"password": "x"}}), admin.ask("DELETE", f"/v3/users/{jo}"),
        admin.ask("POST", "/v3/groups", {"group": {"name": "new", "domain_id": corp}}),
        admin.ask("PATCH", f"/v3/groups/{devs}", {"group": {"description": "x"}}), admin.ask("DELETE", f"/v3/groups/{devs}"),
        admin.ask("DELETE", f"/v3/groups/{devs}/users/{jo}"), admin.ask("PUT", f"/v3/groups/{devs}/users/{jo}"),
        Client(admin.application).ask("POST", f"/v3/users/{jo}/password", {"user": {"original_password": "jo-secret", "password": "x"}})]
    assert [(each.status, each.body["error"]["message"]) for each in refused] == [
        (403, "LDAP does not support write operations")] * len(refused)
    for group, user in ((own, jo), (devs, demo)):
        reply = admin.ask("PUT", f"/v3/groups/{group}/users/{user}")
        assert reply.status == 403 and "across backend boundaries" in reply.body["error"]["message"]
    wrong = {"user": {"original_password": "wrong", "password": "x"}}
    assert Client(admin.application).ask("POST", f"/v3/users/{jo}/password", wrong).status == 401
    assert sign_in(admin, "jo", corp).status == 201


def test_lists_without_a_domain_have_identitys_own_only(admin: Client, corp: str) -> None:
    assert len(admin.get(f"/v3/users?domain_id={corp}")["users"]) == len(PEOPLE)
    assert "jo" not in [user["name"] for user in admin.get("/v3/users")["users"]]
    assert "devs" not in [group["name"] for group in admin.get("/v3/groups")["groups"]]
    page = admin.get(f"/v3/users?domain_id={corp}&limit=3")
    rest = admin.get(page["links"]["next"].removeprefix("http://cloud/identity"))
    assert [user["name"] for user in (*page["users"], *rest["users"])] == sorted(PEOPLE)[:6]


def test_changes_over_there(admin: Client, corp: str, slapd: Slapd, at_once: None) -> None:
    devs = one(admin, "group", "devs", corp)["id"]
    admin.ask("PUT", f"/v3/projects/home/groups/{devs}/roles/role-member")
    twin, dn = one(admin, "user", "twin", corp)["id"], f"uid=twin,ou=people,{SUFFIX}"
    scope = {"project": {"id": "home"}}
    assert sign_in(admin, "twin", corp, scope=scope).status == 401
    slapd.change(f"dn: {DEVS}\nchangetype: modify\nadd: member\nmember: {dn}\n")
    token = sign_in(admin, "twin", corp, scope=scope).headers["X-Subject-Token"]

    def state() -> int:
        auth.forget()  # a token's facts are remembered for a second otherwise
        return int(admin.ask("GET", "/v3/auth/tokens", x_subject_token=token).status)

    assert state() == 200
    slapd.change(f"dn: {DEVS}\nchangetype: modify\ndelete: member\nmember: {dn}\n")
    assert state() == 404, "who has left the group has lost its role"
    admin.ask("PUT", f"/v3/projects/home/users/{twin}/roles/role-reader")
    assert state() == 200
    slapd.change(f"dn: {dn}\nchangetype: modify\nreplace: employeeType\nemployeeType: FALSE\n")
    assert state() == 404 and sign_in(admin, "twin", corp).status == 401 and one(admin, "user", "twin", corp)["enabled"] is False
    slapd.change(f"dn: {dn}\nchangetype: modify\nreplace: employeeType\nemployeeType: TRUE\n-\nreplace: mail\nmail: new@corp\n")
    assert admin.get(f"/v3/users/{twin}")["user"]["email"] == "new@corp"
    token = sign_in(admin, "twin", corp, scope=scope).headers["X-Subject-Token"]
    assert state() == 200
    slapd.change(f"dn: {dn}\nchangetype: modrdn\nnewrdn: uid=former\ndeleteoldrdn: 1\n")
    assert state() == 404 and sign_in(admin, "twin", corp).status == 401 and admin.ask("GET", f"/v3/users/{twin}").status == 404
    assert admin.ask("PUT", f"/v3/projects/home/users/{twin}/roles/role-member").status == 404
    assert "twin" not in [user["name"] for user in admin.get(f"/v3/users?domain_id={corp}")["users"]]
    slapd.change(f"dn: uid=former,ou=people,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=twin\ndeleteoldrdn: 1\n")
    assert sign_in(admin, "twin", corp, scope=scope).status == 201, "its roles count again"


def test_a_server_that_is_away_hurts_its_domain_only(admin: Client, corp: str, slapd: Slapd, at_once: None) -> None:
    jo = one(admin, "user", "jo", corp)["id"]
    admin.ask("PUT", f"/v3/projects/home/users/{jo}/roles/role-member")
    token = sign_in(admin, "jo", corp, scope={"project": {"id": "home"}}).headers["X-Subject-Token"]
    slapd.stop()
    try:
        auth.forget()
        asked = [sign_in(admin, "jo", corp), admin.ask("GET", f"/v3/users?domain_id={corp}"), admin.ask("GET", f"/v3/users/{jo}"),
                 admin.ask("GET", "/v3/auth/tokens", x_subject_token=token),
                 Client(admin.application, token).ask("GET", "/v3/auth/projects")]
        assert [each.status for each in asked] == [503] * len(asked)
        message = asked[0].body["error"]["message"]
        assert corp in message and "127.0.0.1" not in message, "who asks is not told where the server stands"
        assert admin.get("/v3/users")["users"] and Client(admin.application).sign_in("demo").status == 201
        assert admin.get(f"/v3/domains/{corp}/config")
    finally: slapd.start()
    auth.forget()
    assert admin.ask("GET", "/v3/auth/tokens", x_subject_token=token).status == 200, "a token outlives the outage"
    assert sign_in(admin, "jo", corp).status == 201


def test_a_server_that_hangs_holds_few_threads(admin: Client, corp: str) -> None:
    """It takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        configure(admin, corp, url=f"ldap://127.0.0.1:{silent.getsockname()[1]}")
        source = lookup.source_of(admin.application, corp)
        assert source is not None
        begun, ends, told = threading.Event(), threading.Event(), []

        def slow(directory: Any) -> None:
            begun.set()
            ends.wait(60)
            raise Unanswered("it took too long")

        def ask() -> None:
            try: source.ask(slow)
            except Exception as failure: told.append(type(failure).__name__)

        threads = [threading.Thread(target=ask) for _ in range(lookup.GATE)]
        for thread in threads: thread.start()
        assert begun.wait(60)
        for each in list(source.began): source.began[each] -= lookup.SLOW_SECONDS + 1
        while len(source.began) < lookup.GATE: threading.Event().wait(0.01)
        assert sign_in(admin, "jo", corp).status == 503, "no more threads wait for it"
        assert Client(admin.application).sign_in("demo").status == 201
        ends.set()
        for thread in threads: thread.join(60)
        assert told == ["DirectoryAway"] * lookup.GATE
        assert source.away_until > 0


def test_when_a_domain_gives_its_directory_up(admin: Client, corp: str, slapd: Slapd) -> None:
    jo = one(admin, "user", "jo", corp)["id"]
    token = sign_in(admin, "jo", corp).headers["X-Subject-Token"]
    assert admin.ask("DELETE", f"/v3/domains/{corp}/config").status == 204
    assert admin.ask("GET", "/v3/auth/tokens", x_subject_token=token).status == 404
    assert sign_in(admin, "jo", corp).status == 401 and admin.ask("GET", f"/v3/users/{jo}").status == 404
    admin.make("user", name="jo", domain_id=corp, password="own")
    configure(admin, corp, url=slapd.url)
    assert sign_in(admin, "jo", corp, "own").status == 201, "identity's own users come first"
    assert sign_in(admin, "jo", corp).status == 401
    assert sign_in(admin, "kim", corp).status == 201


def test_compliance_is_the_directorys_business(admin: Client, identity: Application, corp: str) -> None:
    identity.config = type(identity.config)(password_rounds=4, lockout_attempts=2)
    assert [sign_in(admin, "jo", corp, "wrong").status for _ in range(4)] == [401] * 4
    assert sign_in(admin, "jo", corp).status == 201


def test_logins_stand_in_the_audit_log(admin: Client, corp: str) -> None:
    jo = one(admin, "user", "jo", corp)["id"]
    sign_in(admin, "jo", corp)
    sign_in(admin, "jo", corp, "wrong")
    records = [each["record"] for each in admin.get("/v3/pilvi-audit")["records"]]
    assert any('"authenticate"' in each and jo in each and '"success"' in each for each in records)
    assert any('"authenticate"' in each and '"failure"' in each for each in records[-2:])
    assert not any("-secret" in each for each in records)
    assert not any("created.user" in each and jo in each for each in records), "nobody created anything"


# -- the driver's options

def test_an_entry_that_is_switched_off_by_bits(slapd: Slapd) -> None:
    bits = {"user_enabled_attribute": "employeeNumber", "user_enabled_mask": "2", "user_enabled_default": 512}
    slapd.change(f"dn: uid=kim,ou=people,{SUFFIX}\nchangetype: modify\nreplace: employeeNumber\nemployeeNumber: 514\n")
    directory = Ldap(OPTIONS | {"url": slapd.url} | bits)
    assert {person.name: person.enabled for person in directory.people()}["kim"] is False
    jo = directory.person("jo")
    assert jo is not None and jo.enabled
    inverted = Ldap(OPTIONS | {"url": slapd.url, "user_enabled_invert": "True", "user_enabled_default": "False"})
    slapd.change(f"dn: uid=kim,ou=people,{SUFFIX}\nchangetype: modify\nreplace: employeeType\nemployeeType: TRUE\n")
    assert {person.name for person in inverted.people() if not person.enabled} >= {"kim"} and inverted.person("off").enabled  # type: ignore
    slapd.change(f"dn: uid=kim,ou=people,{SUFFIX}\nchangetype: modify\ndelete: employeeType\n")
    inverted.close()
    directory.close()


def test_groups_that_name_ids(slapd: Slapd) -> None:
    directory = Ldap(OPTIONS | {"url": slapd.url, "group_objectclass": "posixGroup", "group_member_attribute": "memberUid",
                                "group_members_are_ids": True})
    (circle,) = directory.circles()
    assert circle.name == "posix" and [person.id for person in directory.members(circle)] == ["kim"]
    kim = directory.person("kim")
    assert kim is not None and [each.name for each in directory.circles_of(kim)] == ["posix"]
    directory.close()


def test_filters_trees_and_scopes(slapd: Slapd) -> None:
    everybody = Ldap(OPTIONS | {"url": slapd.url, "user_tree_dn": SUFFIX, "query_scope": "sub"})
    assert "robot" in {person.name for person in everybody.people()}
    devs = everybody.circle("devs")
    assert devs is not None and {person.name for person in everybody.members(devs)} == {"jo", "off", "robot"}
    some = Ldap(OPTIONS | {"url": slapd.url, "user_filter": "(mail=j*)"})
    assert [person.name for person in some.people()] == ["jo"] and some.person("kim") is None
    assert not some.fits(None, "kim-secret")
    for each in (everybody, some): each.close()


@pytest.fixture
def strict(tmp_path: Path, slapd: Slapd) -> Iterator[tuple[Slapd, Path]]:
    """A server that gives three entries at a time and has a certificate, and the file of the authority that made it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ldap")])
    day = datetime.timedelta(days=1)
    certificate = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(
        1).not_valid_before(now - day).not_valid_after(now + day).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    files = {"cert.pem": certificate.public_bytes(serialization.Encoding.PEM), "key.pem": key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())}
    server = Slapd(files=files, size_limit="3", tls="TLSCACertificateFile {folder}/cert.pem\nTLSCertificateFile {folder}/cert.pem\n"
                                                    "TLSCertificateKeyFile {folder}/key.pem")
    (tmp_path / "ca.pem").write_bytes(files["cert.pem"])
    try: yield server, tmp_path / "ca.pem"
    finally: server.remove()


def test_pages_and_tls(strict: tuple[Slapd, Path], tmp_path: Path) -> None:
    server, authority = strict
    with pytest.raises(Refused, match="page_size"): Ldap(OPTIONS | {"url": server.url}).people()
    safe = {"url": server.url, "use_tls": "true", "tls_cacertfile": str(authority)}
    paged = Ldap(OPTIONS | safe | {"page_size": "2"})
    assert {person.name for person in paged.people()} == set(PEOPLE) and paged.fits(paged.person("jo"), "jo-secret")
    paged.close()
    for bad in ({"tls_cacertfile": None}, {"url": server.url.replace("127.0.0.1", "localhost")}):
        with pytest.raises(Unanswered): Ldap(OPTIONS | safe | bad).person("jo")
    careless = Ldap(OPTIONS | safe | {"tls_cacertfile": None, "tls_req_cert": "never"})
    assert careless.person("jo")
    careless.close()


@pytest.mark.parametrize("options", [
    {"url": "http://x"}, {"url": "ldap://127.0.0.1:1"}, {"query_scope": "all"}, {"page_size": "many"}, {"url": "nonsense"},
    {"password": "wrong"}, {"tls_req_cert": "maybe"}])
def test_options_that_lead_nowhere(slapd: Slapd, options: dict[str, Any]) -> None:
    with pytest.raises(Unanswered) as told: Ldap(OPTIONS | {"url": slapd.url} | options).people()
    assert "reader-secret" not in str(told.value)
