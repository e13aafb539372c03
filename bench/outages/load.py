"""A steady load: requests at fixed times, whatever became of those before them, and a few clients that ask
again as soon as they are answered. Every reply must be that of its own request."""

import asyncio
import hashlib
import random
import time

GIVE_UP = 10  # seconds


class Result:
    """What became of one request; times are time.monotonic()."""

    def __init__(self, name, method, due, fixed):
        self.name, self.method, self.due, self.ended, self.fixed = name, method, due, due, fixed
        self.status, self.backend, self.problem = 0, None, None

    @property
    def seconds(self):
        return self.ended - self.due


def request(result, port):
    body = result.name.encode() * 50 if result.method == "POST" else b""
    head = (f"{result.method} /page.php?id={result.name} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n"
            + (f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n" if body else "") + "\r\n")
    return head.encode() + body, f"{result.name} {hashlib.md5(body).hexdigest()} {result.name * 200}\n".encode()


def whole_body(headers, body):
    if headers.get(b"transfer-encoding") == b"chunked":
        pieces = []
        while body:
            size, _, body = body.partition(b"\r\n")
            size = int(size, 16)
            if size == 0:
                return b"".join(pieces)
            pieces.append(body[:size])
            body = body[size + 2:]
        return None
    return body if len(body) == int(headers.get(b"content-length", -1)) else None


def judge(result, reply, wanted):
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not lines[0].startswith(b"HTTP/1."):
        return "no reply"
    result.status = int(lines[0].split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    if result.status != 200:
        return f"status {result.status}"
    result.backend = headers.get(b"x-backend", b"").decode()
    return None if whole_body(headers, body) == wanted else "not its own reply, or not all of it"


async def ask(result, port):
    sent, wanted = request(result, port)
    writer = None

    async def exchange():
        nonlocal writer
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        return await reader.read()

    try:
        result.problem = judge(result, await asyncio.wait_for(exchange(), GIVE_UP), wanted)
    except asyncio.TimeoutError:
        result.problem = f"no answer in {GIVE_UP} s"
    except (OSError, ValueError) as error:
        result.problem = str(error)
    finally:
        if writer:
            writer.close()
    result.ended = time.monotonic()


class Load:
    """`results` of a load of `rate` a second and `clients` at once, one request of three a POST."""

    def __init__(self, port, rate, clients):
        self.port, self.rate, self.clients, self.results = port, rate, clients, []
        self.chance = random.Random(1)  # the same for all

    def new(self, due, fixed):
        count = len(self.results)
        self.results.append(Result(f"{self.port}-{count}", self.chance.choice(("GET", "GET", "POST")), due, fixed))
        return self.results[-1]

    async def at_fixed_times(self, until):
        tasks, start = [], time.monotonic()
        for count in range(int((until - start) * self.rate)):
            due = start + count / self.rate
            await asyncio.sleep(max(0, due - time.monotonic()))
            tasks.append(asyncio.ensure_future(ask(self.new(due, fixed=True), self.port)))
        await asyncio.gather(*tasks)

    async def one_client(self, until):
        while time.monotonic() < until:
            await ask(self.new(time.monotonic(), fixed=False), self.port)
            await asyncio.sleep(0.02)

    async def run(self, seconds):
        until = time.monotonic() + seconds
        await asyncio.gather(self.at_fixed_times(until), *(self.one_client(until) for _ in range(self.clients)))
