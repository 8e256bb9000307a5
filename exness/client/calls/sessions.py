"""Sessions and probes."""

from exness.client import answers
from exness.client.calls.call import API, Call, reader
from exness.client.errors import Refused, Unauthorized

_message = reader(answers.Message)
_signed_in = reader(answers.SignedIn)
_health = reader(answers.Health)
_ready = reader(answers.Readiness)


def signup(email: str) -> Call[answers.Message]:
    """POST /signup: a link goes out by mail."""
    return Call("POST", f"{API}/signup", _message, {"email": email})


def signin(email: str) -> Call[answers.Message]:
    """POST /signin: a link goes out by mail."""
    return Call("POST", f"{API}/signin", _message, {"email": email})


def signin_post(token: str) -> Call[answers.SignedIn]:
    """GET /signin/post: a session for the token of a mailed link, which works once."""
    call = Call("GET", f"{API}/signin/post", _signed_in, query={"token": token}, again=False)
    call.headers = {"Accept": "application/json"}
    return call


def logout() -> Call[answers.Message]:
    """POST /logout: this session no longer works anywhere, also when it was ended by an earlier try."""
    return Call("POST", f"{API}/logout", _message, settled=_logged_out)


def _logged_out(refused: Refused) -> answers.Message | None:
    return answers.Message(message="Signed out") if isinstance(refused, Unauthorized) else None


def healthz() -> Call[answers.Health]:
    """GET /healthz."""
    return Call("GET", "/healthz", _health)


def readyz() -> Call[answers.Readiness]:
    """GET /readyz. Raises NotReady, whose details are the reasons."""
    return Call("GET", "/readyz", _ready)
