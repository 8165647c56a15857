"""Requests that two servers in a row would read differently, and heads that are none (RFC 9112): refused, not guessed.

Behind each stands a good request. It is answered, or the connection has ended before it; a request that hides in the
body of another is answered by nobody.
"""

import random

from tests.security.kinds import BAD_REQUEST, CLOSED, HIDDEN, SENTINEL, Input, Kind, Make, Who, torn

ORDERS = "/v1/accounts/{}/orders"
REFUSED = frozenset({"400", "401", "403", "404", "405", "408", "411", "413", "414", "415", "422", "431", "501", "505"})
NOT_REACHED = frozenset({"200", "400", "404", "405"})
HEAD_BYTES_MAX = 16_384
FIELDS_MAX = 128
"""What the server takes of a head."""


def post(who: Who, *fields: str, body: bytes = b"", path: str = ORDERS, start: str = "POST {} HTTP/1.1") -> bytes:
    """A request to place an order, with these fields besides."""
    head = [
        start.format(path.format(who.account_id)),
        "Host: door",
        f"Authorization: Bearer {who.token}",
        "Content-Type: application/json",
        "Idempotency-Key: one",
        *fields,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def get(who: Who, *fields: str, start: str = "GET /healthz HTTP/1.1") -> bytes:
    """A request that asks for little, with these fields besides."""
    return "\r\n".join([start, "Host: door", f"Authorization: Bearer {who.token}", *fields, "", ""]).encode("latin-1")


def http_input(chance: random.Random, data: bytes, wants: frozenset[str] = REFUSED | {CLOSED}) -> Input:
    """The bytes, and the good request behind them."""
    return Input(kind="", pieces=torn(chance, data + SENTINEL), wants=wants)


# Whose end of the body holds?

CODINGS = (
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: CHUNKED",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: chunked ",
    "transfer-encoding: chunked",
)
NO_CODINGS = (
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: ,chunked,",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding: chunked;q=1",
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "Transfer\x00-Encoding: chunked",
    "Transfer-Encoding: chunk\x00ed",
    "Transfer-Encoding: \xffchunked",
)
NO_LENGTHS = (
    *("-1", "+5", "5, 5", "5,6", "0x5", "5 5", "5.0", "1_0", "\xb2", "", " ", "five", "1e1", "00x", "\x0b5"),
    *("9" * 30, "18446744073709551616", "18446744073709551621", "9223372036854775808"),
)


def length_and_coding(chance: random.Random, who: Who) -> Input:
    """CL.TE and TE.CL: by its length the body holds the hidden request, by its chunks it ends before it."""
    body = b"0\r\n\r\n" + HIDDEN
    fields = [f"Content-Length: {len(body)}", chance.choice(CODINGS)]
    chance.shuffle(fields)
    return http_input(chance, post(who, *fields, body=body))


def length_too_short_and_coding(chance: random.Random, who: Who) -> Input:
    body = b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"
    fields = [f"Content-Length: {chance.choice((0, 4, 5))}", chance.choice(CODINGS)]
    chance.shuffle(fields)
    return http_input(chance, post(who, *fields, body=body))


def coding_of_nobody(chance: random.Random, who: Who) -> Input:
    body = b"0\r\n\r\n" + HIDDEN
    with_length = chance.random() < 0.5
    fields = [chance.choice(NO_CODINGS), *([f"Content-Length: {len(body)}"] if with_length else [])]
    return http_input(chance, post(who, *fields, body=body))


def two_lengths(chance: random.Random, who: Who) -> Input:
    fields = ["Content-Length: 0", f"Content-Length: {len(HIDDEN)}"]
    chance.shuffle(fields)
    return http_input(chance, post(who, *fields, body=HIDDEN))


def length_that_is_none(chance: random.Random, who: Who) -> Input:
    return http_input(chance, post(who, f"Content-Length: {chance.choice(NO_LENGTHS)}", body=HIDDEN))


def coding_of_old_http(chance: random.Random, who: Who) -> Input:
    data = post(who, "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN, start="POST {} HTTP/1.0")
    return http_input(chance, data, REFUSED | {CLOSED})


def body_of_a_get(chance: random.Random, who: Who) -> Input:
    data = get(who, f"Content-Length: {len(HIDDEN)}", start="GET /v1/nothing HTTP/1.1") + HIDDEN
    return http_input(chance, data, frozenset({"400", "404", "413"}))


BAD_CHUNKS = (
    *(b"g\r\nx\r\n", b"-1\r\nx\r\n", b"+1\r\nx\r\n", b"0x1\r\nx\r\n", b"1_0\r\nx\r\n", b" 1\r\nx\r\n", b"\r\nx\r\n"),
    *(b"1\nx\r\n", b"1\rx\r\n", b"1\r\nxx\r\n", b"1\r\nx\n", b"1\r\nx", b"\xd9\xa1\r\nx\r\n", b"1 \r\r\nx\r\n"),
    *(b"F" * 17 + b"\r\nx\r\n", b"8000000000000000\r\nx\r\n", b"ffffffffffffffff\r\nx\r\n", b"0" * 400 + b"1\r\nx\r\n"),
    *(b"1;" + b"e" * 20_000 + b"\r\nx\r\n", b"1;a=\n\r\nx\r\n", b'1;a="\r\n"\r\nx\r\n', b"1\r\nx\r\n0\r\nX\r\n\r\n"),
    *(b"1\r\nx\r\n0\r\nA: b\r\n" * 2, b"1\r\nx\r\n0\r\n: no name\r\n\r\n", b"1\x00\r\nx\r\n"),
)


def bad_chunk(chance: random.Random, who: Who) -> Input:
    """A chunk that is none; what follows is no request any more."""
    data = post(who, "Transfer-Encoding: chunked", body=chance.choice(BAD_CHUNKS) + b"0\r\n\r\n")
    return http_input(chance, data, REFUSED | {CLOSED})


def bad_chunk_where_bodies_are_read_raw(chance: random.Random, who: Who) -> Input:
    body = chance.choice(BAD_CHUNKS) + b"0\r\n\r\n"
    data = post(who, "Transfer-Encoding: chunked", body=body, path="/v1/webhooks/onfido")
    return http_input(chance, data, REFUSED | {CLOSED})


# Heads

BAD_FIELDS = (
    *("no colon", ": no name", "Bad Name: x", "Bad\tName: x", "Bad\x00Name: x", "Name\xfc: x", "Bad(Name: x"),
    *("X: a\x00b", "X: a\rb", "X: a\x1bb", "X: a\x7fb", "Host: other", "Content-Length: 0\r\nContent-Length: 1"),
    *("X: a\r\n folded: b", "X: a\r\n\tfolded", "\rX: a", "X\r: a", "Content-Length : 0", "=: x", "@: x"),
)
STARTS = (
    *("GET  /healthz HTTP/1.1", "GET /healthz  HTTP/1.1", "GET\t/healthz\tHTTP/1.1", "GET /healthz HTTP/1.1 x"),
    *("GET /healthz", "GET", "/healthz HTTP/1.1", "GET /healthz HTTP/1.", "GET /healthz HTTP/11"),
    *(
        "GET /healthz HTTP/1.2",
        "GET /healthz HTTP/0.9",
        "GET /healthz HTTP/2.0",
        "GET /healthz HTTP/-1.1",
        "GET /healthz http/1.1",
    ),
    *("GET /healthz HTTPS/1.1", "GET /healthz HTTP 1.1", "G\x00T /healthz HTTP/1.1", "G\xcbT /healthz HTTP/1.1"),
    *("G(T /healthz HTTP/1.1", "GET /a\x00b HTTP/1.1", "GET /a b HTTP/1.1", "GET /a\x7fb HTTP/1.1"),
    *(
        "GET healthz HTTP/1.1",
        "CONNECT door:443 HTTP/1.1",
        "TRACE /healthz HTTP/1.1",
        "PRI * HTTP/2.0",
        "OPTIONS * HTTP/1.1",
        "GET * HTTP/1.1",
    ),
    *("GET http://[::1 HTTP/1.1", "GET //other/healthz HTTP/1.1", "GET http://other/v1/nothing HTTP/1.1"),
    *("GET /%00 HTTP/1.1", "GET /%zz HTTP/1.1", "GET /%0d%0aX-Planted:%201 HTTP/1.1", "GET /../../etc/passwd HTTP/1.1"),
    *("GET /docs/static/..%2f..%2fsetup.py HTTP/1.1", "GET /%ff%fe HTTP/1.1", "GET /\xff\xfe HTTP/1.1"),
    *("GET /v1/quotes?symbol=%ff HTTP/1.1", "GET /v1/quotes?" + "a&" * 5_000 + " HTTP/1.1", "GET #frag HTTP/1.1"),
)


def bad_field(chance: random.Random, who: Who) -> Input:
    fields = ["Accept: */*", chance.choice(BAD_FIELDS)]
    chance.shuffle(fields)
    return http_input(chance, get(who, *fields), BAD_REQUEST)


def bad_start(chance: random.Random, who: Who) -> Input:
    return http_input(chance, get(who, start=chance.choice(STARTS)), REFUSED | {"200", CLOSED})


def line_too_long(chance: random.Random, who: Who) -> Input:
    much = "a" * (HEAD_BYTES_MAX + chance.randrange(1, 40_000))
    where = chance.randrange(3)
    data = (
        get(who, start=f"GET /{much} HTTP/1.1")
        if where == 0
        else get(who, f"X: {much}")
        if where == 1
        else get(who, f"{much}: x")
    )
    return http_input(chance, data, BAD_REQUEST | {"414", "431", CLOSED})


def too_many_fields(chance: random.Random, who: Who) -> Input:
    fields = [f"X-{number}: x" for number in range(FIELDS_MAX + chance.randrange(1, 3_000))]
    return http_input(chance, get(who, *fields), BAD_REQUEST | {"431", CLOSED})


def not_http(chance: random.Random, _: Who) -> Input:
    """Another protocol at the door: TLS, HTTP/2, Kafka, SSH, chance."""
    data = chance.choice(
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(300),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
            b"\x00\x00\x00\x1a\x00\x12\x00\x03\x00\x00\x00\x01\x00\x04door\x00",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\r\n" * chance.randrange(3, 60) + b"\x00\x00",
            chance.randbytes(chance.randrange(1, 3_000)) + b"\r\n\r\n",
        )
    )
    return Input(kind="", pieces=torn(chance, data), wants=REFUSED | {CLOSED}, is_ended=True)


def flipped_bits_of_a_request(chance: random.Random, who: Who) -> Input:
    data = bytearray(post(who, "Content-Length: 2", body=b"{}"))
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    wants = REFUSED | {CLOSED, "200", "202"}
    return Input(kind="", pieces=torn(chance, bytes(data)), wants=wants, is_ended=True)


def many_in_a_row(chance: random.Random, who: Who) -> Input:
    """Good requests without a pause between: as many answers, in their order."""
    asked = [chance.choice((("/healthz", "200"), ("/v1/nothing", "404"))) for _ in range(chance.randrange(2, 80))]
    data = b"".join(get(who, start=f"GET {path} HTTP/1.1") for path, _ in asked)
    answers = (*(status for _, status in asked), "200")
    return Input(kind="", pieces=torn(chance, data + SENTINEL, 9), wants=NOT_REACHED, answers=answers)


COMMON, RARE, COSTLY = 20, 10, 3


def _named(weight: int, *makers: Make) -> list[Kind]:
    return [Kind(f"http: {make.__name__.replace('_', ' ')}", weight, make) for make in makers]


KINDS = (
    *_named(COMMON, length_and_coding, length_too_short_and_coding, coding_of_nobody, two_lengths, length_that_is_none),
    *_named(COMMON, bad_chunk, bad_chunk_where_bodies_are_read_raw, bad_field, bad_start),
    *_named(RARE, coding_of_old_http, body_of_a_get, not_http, flipped_bits_of_a_request),
    *_named(COSTLY, line_too_long, too_many_fields, many_in_a_row),
)
"""Every kind of request."""
