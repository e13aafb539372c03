"""The same settings for nginx, HAProxy and fcgiguard behind nginx. Each function writes what it needs into the
scratch folder, starts it, and gives back its port."""

import dataclasses
import pathlib

import harness
from backends import CONNECTIONS, KEPT

PAGE = (pathlib.Path(__file__).parent / "page.php").read_text()


@dataclasses.dataclass
class Settings:
    connect: float  # seconds until there is a connection
    answer: float  # until the first byte, and between bytes; a place is waited for as long
    retries: int
    failures: int
    out: int
    probe: float  # seconds between active checks

    def milliseconds(self):
        return {name: int(value * 1000) for name, value in (("connect", self.connect), ("answer", self.answer),
                                                            ("out", self.out), ("probe", self.probe))}


NGINX = """
daemon off; worker_processes 1; pid {run}/pid; error_log {run}/error.log error; {user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {run}/1; proxy_temp_path {run}/2; fastcgi_temp_path {run}/3;
  uwsgi_temp_path {run}/4; scgi_temp_path {run}/5;
  upstream application {{ {servers} keepalive {kept}; }}
  server {{
    listen 127.0.0.1:{port} backlog=511;
    location / {{ {location} }}
  }}
}}
"""

# What both kinds of upstream are told, by the prefix of the module.
NGINX_UPSTREAM = """
{0}_connect_timeout {connect}ms; {0}_send_timeout {answer}ms; {0}_read_timeout {answer}ms;
{0}_next_upstream error timeout http_503; {0}_next_upstream_tries {tries};
"""

PARAMETERS = """
fastcgi_keep_conn on; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param REQUEST_URI $request_uri;
fastcgi_param QUERY_STRING $query_string; fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param REMOTE_ADDR $remote_addr;
fastcgi_param SERVER_PROTOCOL $server_protocol; fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
"""

HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout client 30s
  timeout connect {connect}ms
  timeout server {answer}ms
  timeout queue {answer}ms
  retries {retries}
  option redispatch 1
  retry-on conn-failure empty-response response-timeout 503
frontend clients
  bind 127.0.0.1:{port}
  default_backend application
backend application
  balance roundrobin
  http-request disable-l7-retry if METH_POST
  {lines}
  {servers}
fcgi-app pages
  docroot /
  option keep-conn
  set-param SCRIPT_FILENAME {page}
"""

POLICY = """
listen: {{address: "unix:{socket}"}}
threads: 256
log: {{target: "file:{run}/guard.log", level: info}}
defaults: {{auth: none}}
routes:
  - path: /**
    methods: [GET, POST]
    {kind}:
      {address}: {addresses}
      {own}
      connections: {connections}
      connect_timeout: {connect}ms
      first_byte: {answer}ms
      silence: {answer}ms
      {group}
"""

GROUP = """queue_timeout: {answer}ms
      retries: {retries}
      retry_budget: 100
      health: {{failures: {failures}, out: {out}ms, statuses: [503]{probe}}}"""


def write_page(scratch):
    return scratch.write("site/page.php", PAGE)


def start_nginx(name, scratch, servers, upstream, location, kept):
    port, run = harness.free_port(), scratch.folder(name)
    file = scratch.write(f"{name}.conf", NGINX.format(
        run=run, port=port, servers=upstream, location=location, kept=kept,
        user=f"user {scratch.user};" if scratch.user else ""))
    made = servers.start(name, [harness.find("nginx", "nginx"), "-p", run, "-c", file], as_root=True)
    made.wait_for(port=port)
    return port


def nginx_place(backend):
    return f"unix:{backend.socket}" if backend.kind == "fastcgi" else f"127.0.0.1:{backend.port}"


def nginx(scratch, servers, backends, settings):
    upstream = " ".join(f"server {nginx_place(each)} max_fails={settings.failures} fail_timeout={settings.out}s;"
                        for each in backends)
    fastcgi = backends[0].kind == "fastcgi"
    own = f"fastcgi_pass application; fastcgi_param SCRIPT_FILENAME {write_page(scratch)}; {PARAMETERS}" if fastcgi else \
        'proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Connection "";'
    rules = NGINX_UPSTREAM.format("fastcgi" if fastcgi else "proxy", tries=settings.retries + 1, **settings.milliseconds())
    return start_nginx("nginx", scratch, servers, upstream, own + rules, KEPT)


def haproxy(scratch, servers, backends, settings, checks=False):
    fastcgi = backends[0].kind == "fastcgi"
    lines = ["use-fcgi-app pages"] if fastcgi else []
    each_server = f"maxconn {CONNECTIONS}" + (" proto fcgi" if fastcgi else "")
    if checks:
        lines += [f"timeout check {int(settings.answer * 1000)}ms"] + ([] if fastcgi else ["option httpchk GET /ping"])
        each_server += (f" check inter {int(settings.probe * 1000)}ms fall 2 rise 1 observe layer7"
                        f" error-limit {settings.failures} on-error mark-down")
    places = [f"unix@{each.socket}" if fastcgi else f"127.0.0.1:{each.port}" for each in backends]
    port = harness.free_port()
    file = scratch.write("haproxy.conf", HAPROXY.format(
        port=port, retries=settings.retries, page=write_page(scratch), lines="\n  ".join(lines),
        servers="\n  ".join(f"server {each.name} {place} {each_server}" for each, place in zip(backends, places)),
        **{name: value for name, value in settings.milliseconds().items() if name in ("connect", "answer")}))
    servers.start("haproxy", [harness.find("haproxy", "haproxy"), "-db", "-f", file]).wait_for(port=port)
    return port


def fcgiguard(scratch, servers, backends, settings, program, checks=False):
    fastcgi = backends[0].kind == "fastcgi"
    places = [f"unix:{each.socket}" if fastcgi else f"http://127.0.0.1:{each.port}" for each in backends]
    probe = f", probe: /ping, interval: {int(settings.probe * 1000)}ms, timeout: {int(settings.answer * 1000)}ms" if checks else ""
    page = write_page(scratch)
    socket, times = scratch.shared / "guard.sock", settings.milliseconds()
    group = GROUP.format(retries=settings.retries, failures=settings.failures,
                         **{**times, "probe": probe})
    policy = scratch.write("policy.yaml", POLICY.format(
        socket=socket, run=scratch.shared, kind="fastcgi" if fastcgi else "http", connections=CONNECTIONS, group=group,
        address="address" if fastcgi else "url", addresses=f"[{', '.join(places)}]",
        own=f"root: {page.parent}\n      script: {page.name}" if fastcgi else "", **times))
    guard = servers.start("fcgiguard", [program, "serve", "-c", policy])
    guard.wait_for(path=socket)
    return start_nginx("nginx", scratch, servers, f"server unix:{socket};",
                       f"fastcgi_pass application; fastcgi_read_timeout 30s; {PARAMETERS}", 64)
