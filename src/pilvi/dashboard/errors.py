"""What can go wrong between a browser and the dashboard's server."""
from __future__ import annotations

from pilvi.core.errors import Forbidden, NotFound, Unauthenticated, Unavailable


class SignedOut(Unauthenticated):
    """You are signed out. Please sign in."""
    code = "signed_out"


class SignInRefused(Unauthenticated):
    """The user name, password or domain is wrong, or the user is disabled."""
    code = "refused"


class PasscodeNeeded(Unauthenticated):
    """This user's one-time code is needed, too."""
    code = "passcode_needed"


class OtherFactorsNeeded(Unauthenticated):
    """This user's rules ask for ways of signing in that this page does not have."""
    code = "other_factors"


class NotBegunHere(Forbidden):
    """This sign-in was not begun in this browser, or too long ago."""
    code = "not_begun"


class NoProject(Forbidden):
    """This user has no role in any project. An administrator can add one."""
    code = "no_project"


class ForeignPage(Forbidden):
    """The request did not come from the dashboard's own page."""
    code = "foreign"


class NoSuchService(NotFound):
    """This cloud has no service {service}."""


class NotBuilt(Unavailable):
    """The dashboard's page is not there: it is built by `pilvi up` where packages can be fetched."""


class NoAnswer(Unavailable):
    """The {service} service does not answer."""


class TooManyStreams(Unavailable):
    """This session listens in too many places at once. Close some pages."""
