"""Who may use dev control: programs of this machine.

Nobody signs in for it, so it answers to this machine alone: the connection comes from loopback, no proxy has passed it
on, and it was made to a name of this machine, by no page or by one that we know.
"""

from aiohttp import web

from exness.web.http.client_ip import parsed, passed_on
from exness.web.http.errors import ApiError
from exness.web.services import Dev, services_of


def let_in(request: web.Request) -> Dev:
    """Raises ApiError(local_only, forbidden_origin)."""
    services = services_of(request)
    if not is_local(request):
        raise ApiError("local_only")
    services.browser_rules.check_page(request)
    assert services.dev is not None, "the routes exist only where it is on"
    return services.dev


def is_local(request: web.Request) -> bool:
    """From this machine to a name of this machine, by no proxy. The name matters: a page whose own name was made to
    lead here would come from its browser's machine, and its Origin would match."""
    if passed_on(request.headers):  # a proxy on this machine may pass on what comes from anywhere
        return False
    return _is_loopback(request.remote or "") and is_local_name(request.host)


def is_local_name(host: str) -> bool:
    """Whether a `Host` header, with or without a port, names the machine itself."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    ip = parsed(address)
    return ip is not None and ip.is_loopback
