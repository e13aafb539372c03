"""What is asked of npm's cors and helmet, of Starlette's middlewares and of fcgiguard: each
configuration in the words of all of them, and the requests that go to it. It knows no answers."""

import dataclasses


@dataclasses.dataclass
class Configuration:
    name: str
    kind: str  # which requests are sent, and what of an answer is compared
    peers: dict  # of each peer, its options
    ours: dict  # keys of a route; `cors` is a whole entry of the policy's own
    origins: tuple = ()  # names of ORIGINS that are let in
    methods: tuple = ()
    headers: tuple = None  # None: any
    credentials: bool = False


@dataclasses.dataclass
class Request:
    name: str
    method: str = "GET"
    headers: dict = dataclasses.field(default_factory=dict)
    target: str = ""
    secure: bool = True
    reply: tuple = (204, {})  # of the application
    private: bool = False  # the application's 401 is that of our own guard
    origin: str = None  # its name in ORIGINS
    asked: tuple = None  # of a preflight: the method, and names of headers


# ---- CORS

ORIGINS = {
    "app": "https://app.example.com", "apex": "https://example.com", "sibling": "https://beta.example.com",
    "below": "https://a.app.example.com", "deep": "https://a.b.example.com", "local": "http://localhost:3000",
    "IPv6": "https://[2001:db8::1]", "null": "null", "other port": "https://app.example.com:8443",
    "port 443": "https://app.example.com:443", "http": "http://app.example.com", "other case": "https://App.Example.com",
    "scheme in capitals": "HTTPS://app.example.com", "slash": "https://app.example.com/", "path": "https://app.example.com/a",
    "dot": "https://app.example.com.", "prefix": "https://app.example.com.evil.com", "suffix": "https://evilexample.com",
    "any letter": "https://appxexample.com", "user": "https://app.example.com@evil.com", "two": "https://app.example.com https://evil.com",
    "a list": "https://app.example.com, https://evil.com", "empty label": "https://.example.com", "extension": "chrome-extension://abcdefghijklmnop",
    "underscore": "https://a_b.example.com", "too long": f"https://{'a.' * 160}example.com", "nothing": "", "star": "*", "evil": "https://evil.com",
}

COMMON = ["GET", "HEAD", "POST", "PUT", "DELETE"]
HEADERS = ["Content-Type", "Authorization", "X-Requested-With"]


def of_cors(name, origins, allowed, credentials=False, methods=COMMON, headers=HEADERS, exposed=None, max_age=600, pattern=None, cors=None, starlette=None):
    """In the words of all. `pattern` is for peers who have no wildcards; `cors` and `starlette` are what each says in another way, and alone where
    only one of them is given."""
    ours = {"origins": origins, "credentials": credentials, "methods": methods, "headers": headers or "reflect"}
    peers = {
        "cors": {"origin": [{"pattern": pattern}] if pattern else origins, "credentials": credentials, "methods": methods, "maxAge": max_age, "allowedHeaders": headers,
                 "exposedHeaders": exposed},
        "starlette": {"allow_origins": [] if pattern else origins, "allow_origin_regex": pattern, "allow_credentials": credentials, "allow_methods": methods,
                      "allow_headers": headers or ["*"], "max_age": max_age, "expose_headers": exposed or []},
    }
    if exposed:
        ours["expose"] = exposed
    if max_age is not None:
        ours["max_age"] = f"{max_age}s"
    other = {"cors": cors, "starlette": starlette}
    given = [peer for peer in peers if other[peer]] or list(peers)
    return Configuration(name, "cors", {peer: {**peers[peer], **(other[peer] or {})} for peer in given}, {"cors": ours}, tuple(allowed), tuple(methods),
                         None if headers is None else tuple(headers), credentials)


LISTED = ["https://example.com", "https://app.example.com"]
APP = ["https://app.example.com"]
CORS = [
    of_cors("one origin", APP, ["app"], exposed=["X-Total-Count", "Link"]),
    of_cors("credentials", LISTED, ["app", "apex"], credentials=True, methods=["GET", "POST", "PUT", "DELETE"], headers=["Content-Type", "Authorization"], max_age=3600),
    of_cors("several", [ORIGINS[name] for name in ("app", "local", "other port", "IPv6")], ["app", "local", "other port", "IPv6"], credentials=True, exposed=["X-Total-Count"]),
    of_cors("any origin", "*", ORIGINS, headers=None),
    of_cors("any origin, listed headers", "*", ORIGINS, exposed=["X-Total-Count"]),
    of_cors("below a name", ["https://*.example.com"], ["app", "sibling", "below", "deep", "underscore"], credentials=True, pattern=r"https://([a-z0-9_-]+\.)+example\.com"),
    of_cors("null", ["null", *APP], ["null", "app"]),
    of_cors("any header", APP, ["app"], credentials=True, headers=None),
    of_cors("few methods", APP, ["app"], methods=["GET", "HEAD"]),
    of_cors("other methods", APP, ["app"], methods=["GET", "PATCH", "PURGE"], max_age=0),
    of_cors("one header", APP, ["app"], headers=["X-Requested-With"]),
    of_cors("stars for cors", "*", ORIGINS, methods=["*"], headers=["*"], cors={"methods": "*", "allowedHeaders": "*"}),
    of_cors("no age for cors", APP, ["app"], max_age=None, cors={"maxAge": None}),
    of_cors("a text for cors", APP, ["app"], cors={"origin": APP[0]}),
    of_cors("a function for cors", LISTED, ["app", "apex"], credentials=True, cors={"origin": {"throws": LISTED}}),
    of_cors("a star of methods for Starlette", APP, ["app"], methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"], starlette={"allow_methods": ["*"]}),
]

# What peers take, and a policy may not say; UNSAFE_REQUEST is sent to them.
UNSAFE_REQUEST = "GET with a cookie, evil"
UNSAFE = [
    ("any origin with credentials", {"cors": {"origin": "*", "credentials": True}, "starlette": {"allow_origins": ["*"], "allow_credentials": True}},
     {"origins": "*", "credentials": True}),
    ("the origin sent back with credentials", {"cors": {"origin": True, "credentials": True}, "starlette": {"allow_origin_regex": ".*", "allow_credentials": True}},
     {"origins": ["https://*"], "credentials": True}),
]


def preflight(name, origin, method, names=None, **more):
    headers = {"Origin": ORIGINS[origin], "Access-Control-Request-Method": method}
    if names is not None:
        headers["Access-Control-Request-Headers"] = names
    asked = tuple(one.strip().lower() for one in (names or "").split(",") if one.strip())
    return Request(f"preflight {name}, {origin}", "OPTIONS", headers, origin=origin, asked=(method, asked), **more)


def from_origin(origin):
    """What is asked in the name of an origin that is let in somewhere, and of one that is nowhere."""
    sent = {"Origin": ORIGINS[origin]}
    for method in ("HEAD", "POST", "PUT", "DELETE"):
        yield Request(f"{method}, {origin}", method, sent, origin=origin)
    yield Request(f"GET by HTTP, {origin}", "GET", sent, secure=False, origin=origin)
    yield Request(f"GET with a cookie, {origin}", "GET", {**sent, "Cookie": "a=b"}, origin=origin)
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "PURGE", "post", "delete", ""):
        yield preflight(f"for {method or 'nothing'}", origin, method)
    for names in ("content-type", "authorization", "authorization,content-type", "Authorization, X-Requested-With", "x-custom", "content-type,x-custom", "accept", ""):
        yield preflight(f'with "{names}"', origin, "POST", names)
    yield preflight("where callers are asked for", origin, "POST", "authorization", private=True)
    yield Request(f"OPTIONS, {origin}", "OPTIONS", sent, reply=(200, {}), origin=origin)
    yield Request(f"OPTIONS with headers alone, {origin}", "OPTIONS", {**sent, "Access-Control-Request-Headers": "authorization"}, reply=(200, {}), origin=origin)
    yield Request(f"401 of the guard, {origin}", "GET", sent, reply=(401, {}), private=True, origin=origin)
    for status, headers in ((401, {"WWW-Authenticate": "Bearer"}), (404, {}), (500, {}), (302, {"Location": "/a"}), (304, {"ETag": '"a"'})):
        yield Request(f"{status} of the application, {origin}", "GET", sent, reply=(status, headers), origin=origin)
    for headers in ({"Vary": "Accept-Encoding"}, {"Vary": "Origin"}, {"Vary": "*"}, {"Access-Control-Allow-Origin": "https://other.example.com"},
                    {"Access-Control-Allow-Credentials": "true"}):
        yield Request(f"own {': '.join(*headers.items())}, {origin}", "GET", sent, reply=(200, headers), origin=origin)


def cors_requests():
    for origin, text in ORIGINS.items():
        yield Request(f"GET, {origin}", "GET", {"Origin": text}, origin=origin)
        yield preflight("for POST", origin, "POST", "content-type")
    for origin in ("app", "evil"):
        yield from from_origin(origin)
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        yield Request(f"{method} without an origin", method, reply=(200, {}))
    yield Request("OPTIONS without an origin, as a preflight", "OPTIONS", {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"},
                  reply=(200, {}))
    yield Request("GET without an origin, own Vary: Accept", reply=(200, {"Vary": "Accept"}))


# ---- hosts and HTTPS

def of_hosts(name, names, **more):
    return Configuration(name, "hosts", {"starlette hosts": {"allowed_hosts": names, **more}}, {} if names == ["*"] else {"hosts": names})


HOSTS = [
    of_hosts("a name and all below", ["example.com", "*.example.com"]),
    of_hosts("all below a name", ["*.example.com"]),
    of_hosts("names and addresses", ["api.example.com", "localhost", "127.0.0.1"]),
    of_hosts("IPv6", ["[::1]", "[2001:db8::1]"]),
    of_hosts("a port", ["api.example.com:8080"]),
    of_hosts("any host", ["*"]),
    of_hosts("www", ["www.example.com"]),
    of_hosts("www without redirects", ["www.example.com"], www_redirect=False),
]
HOST_VALUES = [
    "example.com", "api.example.com", "a.b.example.com", "www.example.com", ".example.com", "evilexample.com", "example.com.evil.com", "evil.com", "localhost",
    "127.0.0.1", "127.0.0.2", "[::1]", "[::1]:8080", "[2001:db8::1]", "[2001:DB8:0::1]", "::1", "example.com:80", "example.com:443", "api.example.com:8080",
    "api.example.com:8443", "api.example.com:99999", "api.example.com:", "api.example.com:80@evil.com", "EXAMPLE.com", "API.Example.COM", "example.com.", "api.example.com.:8080",
    "example.com/a", "api_1.example.com", "*.example.com", "*", "xn--bcher-kva.example.com", "",
]


def hosts_requests():
    for host in HOST_VALUES:
        yield Request(f"GET, Host: {host}", "GET", {"Host": host}, secure=host != "example.com:80")
    yield Request("GET without a Host", "GET", {"Host": None})
    yield Request("POST, Host: evil.com", "POST", {"Host": "evil.com"})
    yield Request("GET, Host: evil.com and another in X-Forwarded-Host", "GET", {"Host": "evil.com", "X-Forwarded-Host": "example.com"})
    yield Request("GET, Host: example.com and another in X-Forwarded-Host", "GET", {"Host": "example.com", "X-Forwarded-Host": "evil.com"})


HTTPS = [Configuration("redirect", "https", {"starlette https": {}}, {"https": "redirect"})]


def https_requests():
    for secure in (False, True):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            yield Request(f"{method} by HTTP{'S' * secure}", method, {"Host": "example.com"}, "/a", secure)
        yield Request(f"GET with a token by HTTP{'S' * secure}", "GET", {"Host": "example.com", "Authorization": "Bearer a"}, "/a", secure)
    for host in ("example.com:80", "example.com:8080", "example.com:443", "EXAMPLE.com", "[2001:db8::1]", "[2001:db8::1]:8080", "192.0.2.1"):
        yield Request(f"GET by HTTP, Host: {host}", "GET", {"Host": host}, "/a", False)
    for target in ("", "/", "/a/b", "/a?b=c", "/a?b=c&d=%20e", "/a?", "/a%20b", "/%C3%BC", "/a;b=c", "/a+b", "/a?next=https://evil.com", "/~a", "/a'b"):
        yield Request(f"GET by HTTP, {target or 'no path'}", "GET", {"Host": "example.com"}, target, False)


# ---- helmet

def of_helmet(name, options, headers):
    return Configuration(name, "helmet", {"helmet": options}, {"headers": headers})


def helmet_with(**headers):
    return {"preset": "helmet", **{name.replace("_", "-"): value for name, value in headers.items()}}


HELMET = [
    of_helmet("defaults", {}, "helmet"),
    of_helmet("no CSP", {"contentSecurityPolicy": False}, helmet_with(Content_Security_Policy=False)),
    of_helmet("CSP for an API", {"contentSecurityPolicy": {"useDefaults": False, "directives": {"defaultSrc": ["'none'"], "frameAncestors": ["'none'"]}}},
              helmet_with(Content_Security_Policy={"default-src": "none", "frame-ancestors": "none"})),
    of_helmet("CSP that only reports", {"contentSecurityPolicy": {"useDefaults": False, "reportOnly": True, "directives": {"defaultSrc": ["'self'"], "reportUri": "/csp"}}},
              helmet_with(Content_Security_Policy=False, Content_Security_Policy_Report_Only={"default-src": "self", "report-uri": "/csp"})),
    of_helmet("COEP", {"crossOriginEmbedderPolicy": True}, helmet_with(Cross_Origin_Embedder_Policy="require-corp")),
    of_helmet("COEP credentialless", {"crossOriginEmbedderPolicy": {"policy": "credentialless"}}, helmet_with(Cross_Origin_Embedder_Policy="credentialless")),
    of_helmet("COOP for popups", {"crossOriginOpenerPolicy": {"policy": "same-origin-allow-popups"}}, helmet_with(Cross_Origin_Opener_Policy="same-origin-allow-popups")),
    of_helmet("CORP for other origins", {"crossOriginResourcePolicy": {"policy": "cross-origin"}}, helmet_with(Cross_Origin_Resource_Policy="cross-origin")),
    of_helmet("referrer policy", {"referrerPolicy": {"policy": ["no-referrer", "strict-origin-when-cross-origin"]}},
              helmet_with(Referrer_Policy="no-referrer,strict-origin-when-cross-origin")),
    of_helmet("HSTS to preload", {"strictTransportSecurity": {"maxAge": 63072000, "includeSubDomains": True, "preload": True}},
              helmet_with(Strict_Transport_Security={"max_age": "730d", "include_subdomains": True, "preload": True})),
    of_helmet("HSTS for one host", {"hsts": {"maxAge": 600, "includeSubDomains": False}}, helmet_with(Strict_Transport_Security={"max_age": "10m", "include_subdomains": False})),
    of_helmet("no HSTS", {"hsts": False}, helmet_with(Strict_Transport_Security=False)),
    of_helmet("no frames", {"frameguard": {"action": "deny"}}, helmet_with(X_Frame_Options="DENY")),
    of_helmet("DNS prefetch", {"dnsPrefetchControl": {"allow": True}}, helmet_with(X_DNS_Prefetch_Control="on")),
    of_helmet("cross-domain policies", {"permittedCrossDomainPolicies": {"permittedPolicies": "by-content-type"}},
              helmet_with(X_Permitted_Cross_Domain_Policies="by-content-type")),
    of_helmet("without the old ones", {"xDownloadOptions": False, "xDnsPrefetchControl": False, "xPermittedCrossDomainPolicies": False, "xXssProtection": False,
                                       "originAgentCluster": False},
              helmet_with(X_Download_Options=False, X_DNS_Prefetch_Control=False, X_Permitted_Cross_Domain_Policies=False, X_XSS_Protection=False, Origin_Agent_Cluster=False)),
    of_helmet("the headers of an Express stack",
              {"contentSecurityPolicy": {"directives": {"defaultSrc": ["'self'"], "styleSrc": ["'self'", "'unsafe-inline'"], "scriptSrc": ["'self'"],
                                                        "imgSrc": ["'self'", "data:", "https:"]}},
               "hsts": {"maxAge": 31536000, "includeSubDomains": True, "preload": True}},
              helmet_with(Content_Security_Policy={"default-src": "self", "base-uri": "self", "font-src": ["self", "https:", "data:"], "form-action": "self", "frame-ancestors": "self",
                                                   "img-src": ["self", "data:", "https:"], "object-src": "none", "script-src": "self", "script-src-attr": "none",
                                                   "style-src": ["self", "unsafe-inline"], "upgrade-insecure-requests": True},
                          Strict_Transport_Security="max-age=31536000; includeSubDomains; preload")),
]


def helmet_requests():
    for secure in (True, False):
        for method in ("GET", "HEAD", "POST"):
            yield Request(f"{method} by HTTP{'S' * secure}", method, secure=secure)
    for status, headers in ((200, {"Content-Type": "text/html"}), (401, {"WWW-Authenticate": "Bearer"}), (404, {}), (500, {}), (302, {"Location": "/a"}), (304, {"ETag": '"a"'})):
        yield Request(f"{status} of the application", reply=(status, headers))
    for name, value in (("X-Frame-Options", "DENY"), ("X-Frame-Options", "ALLOW-FROM https://example.com"), ("Content-Security-Policy", "default-src *"),
                        ("Referrer-Policy", "unsafe-url"), ("Strict-Transport-Security", "max-age=0"), ("Strict-Transport-Security", "max-age=94608000; includeSubDomains; preload"),
                        ("Cross-Origin-Resource-Policy", "cross-origin"), ("Permissions-Policy", "camera=()"), ("X-Powered-By", "PHP/8.2"), ("Server", "app/1.0"),
                        ("X-Custom", "a"), ("Cache-Control", "max-age=60")):
        yield Request(f"own {name}: {value}", reply=(200, {name: value}))


CONFIGURATIONS = CORS + HOSTS + HTTPS + HELMET
REQUESTS = {"cors": list(cors_requests()), "hosts": list(hosts_requests()), "https": list(https_requests()), "helmet": list(helmet_requests())}
