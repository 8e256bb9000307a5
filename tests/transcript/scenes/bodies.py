"""How bodies come, and what is none."""

import gzip
import json
import zlib

from tests.transcript.steps import Ask, Raw, Scene, get, order, post

ORDER = json.dumps(order()).encode()
GZIP = {"Content-Encoding": "gzip"}


def sent(title: str, body: object, **headers: str) -> Ask:
    return post(
        title,
        "/trade/create",
        body,
        by="ann",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


BODIES = Scene(
    name="bodies",
    steps=[
        sent("another type", ORDER, Content_Type="text/plain"),
        sent("a form", b"asset=SOL", Content_Type="application/x-www-form-urlencoded"),
        sent("no type", ORDER, Content_Type=""),
        sent("JSON with a charset", ORDER, Content_Type="application/json; charset=latin-1"),
        sent("JSON in capitals", ORDER, Content_Type="Application/JSON"),
        sent("gzip", gzip.compress(ORDER, mtime=0), Content_Encoding="gzip"),
        sent("deflate", zlib.compress(ORDER), Content_Encoding="deflate"),
        sent("a coding that there is not", ORDER, Content_Encoding="br"),
        sent("gzip that is none", ORDER, Content_Encoding="gzip"),
        sent("gzip that is too much", gzip.compress(b" " * 70_000, mtime=0), Content_Encoding="gzip"),
        sent("a byte order mark", b"\xef\xbb\xbf" + ORDER),
        sent("too large", b" " * 65_537),
        sent("just not too large, but nothing", b" " * 65_536),
        sent("no body", b""),
        sent("no JSON", "{asset: SOL}"),
        sent("JSON that is cut off", '{"asset": "SOL"'),
        sent("a list", [1, 2]),
        sent("null", "null"),
        sent("a text", '"SOL"'),
        sent("no UTF-8", b'{"asset": "\xff"}'),
        sent("nested deep", "[" * 5000),
        sent(
            "the last of a key that comes twice counts",
            '{"asset":"SOL","type":"long","margin":1,"margin":2,"leverage":1}',
        ),
        sent("what is too long to be taken apart", {"asset": "SOL", "x" * 5000: 1}),
        sent("more unknown fields than are told", order(**{f"field{number}": 1 for number in range(25)})),
        post("that nobody is signed in goes before too large", "/trade/create", b" " * 65_537),
        post("no JSON where nobody is signed in", "/signup", "{"),
        post("a logout may have any body", "/logout", b"anything", by="ann", headers={"Content-Type": "text/plain"}),
        Raw(title="no HTTP at all", data=b"hello\r\n\r\n"),
        Raw(title="a version that there is not", data=b"GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n"),
        Raw(title="no host", data=b"GET /healthz HTTP/1.1\r\nX-Request-ID: none\r\n\r\n"),
        Raw(title="an old version", data=b"GET /healthz HTTP/1.0\r\nX-Request-ID: old\r\n\r\n"),
        Raw(
            title="a header that is too long",
            data=b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n",
            shown="GET /healthz with a header of 9000 bytes",
        ),
        Raw(
            title="an address that is too long",
            data=b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            shown="GET of a path of 9000 bytes",
        ),
        Raw(
            title="chunks",
            data=b"POST /api/v1/signup HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: chunks\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'5\r\n{"ema\r\n14\r\nil":"a@example.com"}\r\n0\r\n\r\n',
        ),
        Raw(
            title="bad chunks",
            data=b"POST /api/v1/signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        ),
    ],
)

SLOW = Scene(
    name="slow-body",
    settings={"EXNESS_SERVER_BODY_TIMEOUT_S": "0.02"},
    steps=[
        Raw(
            title="a body that does not come",
            data=b"POST /api/v1/signup HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: slow\r\n"
            b'Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"email"',
        ),
        get("/healthz", "others are answered"),
    ],
)

SCENES = [BODIES, SLOW]
