"""Sessions and probes. A list of sessions, and their end, take a session: no API key will do."""

from exness.client import answers
from exness.client.calls.call import API, Call, in_path, reader
from exness.client.errors import Refused, SessionNotFound, Unauthorized

_message = reader(answers.Message)
_signed_in = reader(answers.SignedIn)
_sessions = reader(answers.LiveSessions)
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


def sessions() -> Call[list[answers.LiveSession]]:
    """GET /sessions: one's own that are good, oldest first; `current` is the one that asks."""
    return Call("GET", f"{API}/sessions", lambda body: _sessions(body).data)


def end_session(session_id: str) -> Call[answers.Message]:
    """DELETE /sessions/ID: one of one's own. Ended by an earlier try whose answer was lost, it is told the same."""
    return Call("DELETE", f"{API}/sessions/{in_path(session_id)}", _message, settled=_ended)


def _ended(refused: Refused) -> answers.Message | None:
    if isinstance(refused, SessionNotFound | Unauthorized):  # the latter when it was the very one that asked
        return answers.Message(message="The session has ended")
    return None


def end_other_sessions() -> Call[answers.Message]:
    """DELETE /sessions: all of one's own but the one that asks."""
    return Call("DELETE", f"{API}/sessions", _message)


def healthz() -> Call[answers.Health]:
    """GET /healthz."""
    return Call("GET", "/healthz", _health)


def readyz() -> Call[answers.Readiness]:
    """GET /readyz. Raises NotReady, whose details are the reasons."""
    return Call("GET", "/readyz", _ready)
