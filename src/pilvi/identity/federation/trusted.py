"""Why an identity provider may be believed: the operator's file federation/<provider>.toml below the state folder.

    button = "Acme Oy"                              # on the sign-in page; without it the provider's id, with "" no button

    [openid]
    issuer = "https://id.example.org/realms/main"   # its /.well-known/openid-configuration names keys and addresses
    client_id = "pilvi"                             # the audience its tokens must be for
    client_secret = "…"                             # needed for signing in with a browser only

    [saml]
    metadata = "acme.xml"                           # the provider's metadata, a file beside this one
    address = "https://cloud.example.org/identity"  # identity's own as the provider knows it, if a proxy stands before it

Upstream keeps the same facts in the web server before Keystone. The file is read anew at each sign-in, so a change needs no restart.
"""
from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from pilvi.core.errors import Unauthenticated


class OpenId(Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID Connect provider. Without `client_id` tokens for any audience are taken."""
    issuer: str
    client_id: str = ""
    client_secret: str = ""


class Saml(Struct, frozen=True, forbid_unknown_fields=True):
    """A SAML 2.0 provider."""
    metadata: str
    address: str = ""


class Trusted(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file may hold."""
    button: str | None = None
    openid: OpenId | None = None
    saml: Saml | None = None

    @property
    def by_browser(self) -> bool:
        """Can people sign in there with a browser?"""
        return self.saml is not None or (self.openid is not None and bool(self.openid.client_id and self.openid.client_secret))


class NotTrusted(Unauthenticated):
    """The operator has not set up the identity provider {id}: {reason}"""


def trusted(folder: Path, id: str) -> Trusted:
    """What is known of a provider. Raises NotTrusted."""
    path = folder / f"{id}.toml"
    try: return msgspec.toml.decode(path.read_bytes(), type=Trusted)
    except FileNotFoundError: raise NotTrusted(id=id, reason=f"federation/{path.name} is missing") from None
    except (msgspec.ValidationError, msgspec.DecodeError) as problem: raise NotTrusted(id=id, reason=f"{path.name}: {problem}") from None
