"""A php-fpm of one's own: its pool, its log, and pages for it."""

import glob

import harness

PROGRAM = (sorted(glob.glob("/usr/sbin/php-fpm*")) or ["/usr/sbin/php-fpm"])[-1]

PAGES = {
    "index.php": "<?php echo 'index ', $_SERVER['PATH_INFO'] ?? '-';",
    "hello.php": "<?php header('Content-Type: text/plain'); echo 'hello';",
    "sub/index.php": "<?php echo 'sub';",
    "told.php": "<?php header('Content-Type: application/json'); echo json_encode(['get' => $_GET, 'post' => $_POST, "
                "'server' => $_SERVER]);",
    "upload.php": "<?php $f = $_FILES['f']; echo $f['name'], ' ', $f['size'], ' ', md5_file($f['tmp_name']), ' ', "
                  "$_POST['a'];",
    "body.php": "<?php $b = file_get_contents('php://input'); echo strlen($b), ' ', md5($b);",
    "stream.php": "<?php header('Content-Type: text/plain'); echo \"first\\n\"; flush();\n"
                  "while (!file_exists($_GET['until'])) { usleep(10000); clearstatcache(); } echo \"second\\n\";",
    "log.php": "<?php error_log('said aside'); echo 'logged';",
    "fatal.php": "<?php nobody_defined_this();",
    "status.php": "<?php http_response_code((int)$_GET['s']); echo 'status';",
    "redirect.php": "<?php header('Location: /elsewhere?a=b');",
    "large.php": "<?php header('Content-Type: application/octet-stream');\n"
                 "for ($i = 0; $i < (int)$_GET['mb']; $i++) echo str_repeat(chr(65 + $i % 26), 1 << 20);",
    "early.php": "<?php echo 'early';",
    "upload.jpg": "<?php echo 'EXECUTED';",
    "folder.php/inner.php": "<?php echo 'inner';",
    "secret.txt": "<?php echo 'EXECUTED';",
}


class Fpm:
    """Pages in `root`, served at `address` by `children` processes; `settings` are lines
    of its pool, and `bare` is without the system's php.ini and modules."""

    def __init__(self, folder, name="fpm", children=4, settings="", bare=True):
        self.folder, self.name, self.children, self.bare = folder, name, children, bare
        self.root = folder / (name + "-site")
        self.own = folder.writable(name)
        self.socket = str(self.own / "fpm.sock")
        self.address = "unix:" + self.socket
        for page, text in PAGES.items():
            folder.write(f"{name}-site/{page}", text)
        user = "user = www-data\ngroup = www-data\nlisten.owner = www-data\nlisten.group = www-data\n" \
            if harness.IS_ROOT else ""
        self.configuration = folder.write(name + ".conf", f"""
[global]
error_log = {self.own}/fpm.log
daemonize = no
[www]
{user}listen = {self.socket}
pm = static
pm.max_children = {children}
ping.path = /ping
security.limit_extensions =
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
php_admin_value[upload_tmp_dir] = {self.own}
php_admin_value[upload_max_filesize] = 64M
php_admin_value[post_max_size] = 64M
{settings}""")
        self.process = None
        self.start()

    def start(self):
        # Scripts are looked for as a default php does.
        self.process = harness.Process([PROGRAM, *(["-n"] if self.bare else []), "-d", "cgi.fix_pathinfo=1", "-F", "-y", self.configuration],
                                       self.own / "output.log")
        harness.wait_until(lambda: "ready to handle connections" in self.log(), 20, "php-fpm listens")

    def log(self):
        file = self.own / "fpm.log"
        return file.read_text() if file.exists() else ""

    def stop(self):
        self.process.stop()
        (self.own / "fpm.log").unlink(missing_ok=True)

    def restart(self):
        self.stop()
        self.start()
