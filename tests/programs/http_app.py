"""A small web application (Starlette), for the tests of the handler http."""

import asyncio
import hashlib

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

confirmed = asyncio.Event()


async def echo(request):
    digest, length = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        length += len(piece)
    return JSONResponse({"method": request.method, "path": request.url.path, "query": request.url.query,
                         "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw],
                         "length": length, "digest": digest.hexdigest()})


async def posted(request):
    return JSONResponse({"got": await request.json()}, status_code=201, headers={"Location": "/app/api/things/1"})


async def big(request):
    pieces = int(request.query_params["mb"])

    async def body():
        for _ in range(pieces):
            yield b"x" * (1 << 20)
    return StreamingResponse(body(), media_type="application/octet-stream")


async def events(_):
    """The second event is sent once the client has confirmed the first."""
    confirmed.clear()

    async def body():
        yield "data: first\n\n"
        await confirmed.wait()
        yield "data: second\n\n"
    return StreamingResponse(body(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def confirm(_):
    confirmed.set()
    return Response(status_code=204)


async def moved(_):
    return RedirectResponse("https://other.example/x?y=z", status_code=307)


async def cookies(_):
    reply = PlainTextResponse("ok", headers={"ETag": '"1"', "X-Powered-By": "tests", "X-Accel-Redirect": "/secret"})
    reply.set_cookie("a", "1")
    reply.set_cookie("b", "2")
    return reply


async def wrong(_):
    return PlainTextResponse("Traceback: secret of the application", status_code=500)


ALL = ["GET", "POST", "PUT", "DELETE", "PATCH"]
app = Starlette(routes=[Route("/things", posted, methods=["POST"]), Route("/big", big), Route("/events", events),
                        Route("/confirm", confirm, methods=["POST"]), Route("/moved", moved), Route("/cookies", cookies),
                        Route("/wrong", wrong), Route("/{path:path}", echo, methods=ALL)])
