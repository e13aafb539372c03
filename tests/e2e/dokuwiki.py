"""A DokuWiki of Debian's package, copied to where a test may change it, and a
client that does what a browser does with its forms."""

import hashlib
import html
import pathlib
import re
import shutil
import urllib.parse

import harness
import php_fpm
import servers

PACKAGE = pathlib.Path("/usr/share/dokuwiki")
USERS = {"alice": "user", "root": "admin,user"}
PASSWORD = "correct horse"
DATA = ("attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta", "meta", "pages", "tmp")


class Wiki:
    """As unpacked from its archive: conf and data lie beneath what a web server shows."""

    def __init__(self, folder):
        self.root = folder / "wiki"
        shutil.copytree(PACKAGE, self.root, ignore=shutil.ignore_patterns(".ht*"))
        (self.root / "inc/preload.php").write_text("<?php")  # Debian's leads to /etc/dokuwiki
        shutil.copytree("/etc/dokuwiki", self.root / "conf",
                        ignore=shutil.ignore_patterns("*.auth.php", "local.php", ".ht*"))
        self.data = folder.writable("wiki/data")
        for name in DATA:
            folder.writable(f"wiki/data/{name}")
        self.media = self.data / "media"
        users = "".join(f"{name}:{hashlib.md5(PASSWORD.encode()).hexdigest()}:{name}:{name}@example.com:{groups}\n"
                        for name, groups in USERS.items())
        for name, text in (("local.php", "<?php\n$conf['useacl'] = 1; $conf['superuser'] = '@admin'; $conf['updatecheck'] = 0; "
                            f"$conf['savedir'] = '{self.data}'; $conf['disableactions'] = 'register';"),
                           ("acl.auth.php", "# <?php exit()?>\n* @ALL 1\n* @user 8\n"),
                           ("users.auth.php", "# <?php exit()?>\n" + users)):
            folder.write(f"wiki/conf/{name}", text)
        folder.write("wiki/data/pages/start.txt", "====== Welcome ======\nThis is the first page.\n")
        self.fpm = php_fpm.Fpm(folder, "wiki-fpm", children=5, bare=False, settings="php_admin_value[upload_max_filesize] = 70M\n"
                               "php_admin_value[post_max_size] = 70M\n")
        for owned in (self.data, self.data / "pages/start.txt"):
            if harness.IS_ROOT:
                shutil.chown(owned, harness.WEB_USER, harness.WEB_USER)

    def policy(self, address, store):
        """The example, by HTTP alone, as that is how the tests come."""
        user = "user: " + (harness.WEB_USER or harness.pwd.getpwuid(harness.os.getuid()).pw_name)
        text = servers.example_policy("dokuwiki/policy.yaml", socket=address, store=store, user=user, wiki=self.root,
                                      fpm=self.fpm.address)
        assert text.count("https: redirect") == 1
        return text.replace("https: redirect", "https: off")


MIMES = 'mimetype.assign = ( ".png" => "image/png", ".css" => "text/css", ".svg" => "image/svg+xml" )\n'


def server(kind, folder, guard, wiki):
    """A web server as the example has it."""
    words = {"socket": guard.address, "wiki": wiki.root}
    if kind == "lighttpd":
        return servers.lighttpd(folder, MIMES + servers.example("dokuwiki/lighttpd.conf", **words), "wiki-" + kind)
    if kind == "nginx":
        port = harness.free_port()
        # Debian's hands on no port of Host, and this one is neither 80 nor 443.
        params = pathlib.Path("/etc/nginx/fastcgi_params").read_text().replace(" $host;", f" $host:{port};")
        params = f"include {folder.write('fastcgi_params', params)};"
        snippet = servers.example("dokuwiki/nginx.conf", port=f"listen 127.0.0.1:{port};", params=params, **words)
        return servers.nginx(folder, "include /etc/nginx/mime.types;\n" + snippet, "wiki-" + kind, port)
    types = f"TypesConfig {folder.write('types', 'image/png png')}\n"
    return servers.apache(folder, ["proxy", "proxy_fcgi", "headers", "mime"],
                          types + servers.example("dokuwiki/apache.conf", **words), "wiki-" + kind)


class Client:
    """Somebody with cookies."""

    def __init__(self, port, base="/wiki/"):
        self.port, self.base, self.cookies, self.last = port, base, {}, None

    def fetch(self, target, method="GET", headers=(), body=None):
        headers = dict(headers)
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            headers.setdefault("Origin", f"http://localhost:{self.port}")
            headers.setdefault("Host", f"localhost:{self.port}")
        self.last = servers.fetch(self.port, self.base + target, method, headers, body,
                                  host=None if "Host" in headers else f"localhost:{self.port}")
        for line in self.last.all("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value not in ("", "deleted"):
                self.cookies[name] = value
        return self.last

    def post(self, target, /, **fields):
        body = urllib.parse.urlencode({name.replace("do_", "do[") + "]" if name.startswith("do_") else name: value
                                       for name, value in fields.items()}).encode()
        return self.fetch(target, "POST", {"Content-Type": "application/x-www-form-urlencoded"}, body)

    def login(self, name="alice", password=PASSWORD):
        return self.post("doku.php", id="start", do="login", u=name, p=password, sectok=self.token("doku.php?id=start&do=login"))

    def form(self, target):
        """The hidden fields of the page's forms."""
        text = self.fetch(target).body.decode()
        found = {}
        for field in re.findall(r'<input[^>]*type="hidden"[^>]*>', text):
            values = dict(re.findall(r'(name|value)="([^"]*)"', field))
            found[html.unescape(values.get("name", ""))] = html.unescape(values.get("value", ""))
        return found

    def token(self, target="doku.php?id=start"):
        return self.form(target).get("sectok", "")

    def upload(self, name, content):
        """As the media manager's script does."""
        query = urllib.parse.urlencode({"call": "mediaupload", "ns": "", "sectok": self.token(), "qqfile": name})
        return self.fetch("lib/exe/ajax.php?" + query, "POST", {"Content-Type": "application/octet-stream"}, content)
