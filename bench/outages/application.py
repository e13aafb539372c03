"""An HTTP application that answers as page.php does, to CHILDREN requests at once.

SIGUSR1 has it refuse connections, and SIGUSR2 take them again."""

import asyncio
import hashlib
import os
import signal
import sys
import urllib.parse

PORT, CHILDREN = int(sys.argv[1]), int(sys.argv[2])
BACKLOG = 511
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


async def read_request(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, target, _ = head.split("\r\n", 1)[0].split()
    length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
    return method, target, await reader.readexactly(length)


async def answer(method, target, body):
    mode, seconds = open(os.environ["MODE"]).read().split()
    if mode == "unwell":
        return REFUSED
    name = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query).get("id", [""])[0]
    with open(os.environ["CARRIED_OUT"], "a") as log:
        log.write(f"{method} {name}\n")
    await asyncio.sleep(float(seconds))
    reply = f"{name} {hashlib.md5(body).hexdigest()} {name * 200}\n".encode()
    return (f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Backend: {os.environ['NAME']}\r\n"
            f"Content-Length: {len(reply)}\r\n\r\n").encode() + reply


async def main():
    children = asyncio.Semaphore(CHILDREN)

    async def serve(reader, writer):
        try:
            while True:
                request = await read_request(reader)
                async with children:
                    writer.write(await answer(*request))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def listen():
        return await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=BACKLOG, reuse_address=True)

    events, loop = asyncio.Queue(), asyncio.get_running_loop()
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(number, events.put_nowait, number)
    listener = await listen()
    while True:
        if await events.get() == signal.SIGUSR1:
            listener.close()
        else:
            listener = await listen()


asyncio.run(main())
