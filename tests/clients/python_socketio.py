"""usage: python_socketio.py TRANSPORTS PORT STEP...

Takes python-socketio's client through the steps in the order given and prints one JSON line for each, as run.js does.
"""

import asyncio
import json
import sys
import traceback

import socketio

LIMIT = 20


class Scenario:
    def __init__(self, transports, port):
        self.transports = transports.split(",")
        self.url = f"http://127.0.0.1:{port}"

    async def joined(self, **options):
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(self.url, transports=self.transports, wait_timeout=LIMIT, **options)
        if len(self.transports) > 1:
            assert client.transport() == "websocket", client.transport()
        return client

    async def square(self):
        client = await self.joined()
        assert await call(client, "app.square", 25) == [None, 625]
        assert await call(client, "app.echo", ("a", {"b": [1, None]})) == [None, ["a", {"b": [1, None]}]]
        [error] = await call(client, "nosuch", None)
        assert error["name"] == "UnknownActionError", error
        await client.disconnect()

    async def stock(self):
        client = await self.joined()
        assert await client.call("app.square", 25) == 625
        assert (await client.call("nosuch"))["error"]["name"] == "UnknownActionError"
        await client.disconnect()

    async def asked(self):
        client = await self.joined()
        client.on("twice", lambda number: number * 2)
        client.on("pair", lambda data: (data, 1))
        assert await call(client, "client.invoke", {"event": "twice", "data": 21}) == [None, 42]
        assert await call(client, "client.invoke", {"event": "pair", "data": b"\0"}) == [None, [b"\0", 1]]
        await client.disconnect()

    async def payloads(self):
        client = await self.joined()
        for text in ["", "é", "😀", "x😀" * 1000, "a" * 1000000]:
            assert await call(client, "app.echo", text) == [None, text], len(text)
        data = bytes(range(256)) * 1000
        assert await call(client, "app.echo", {"a": [data]}) == [None, {"a": [data]}]
        await client.disconnect()

    async def channels(self):
        client = await self.joined()
        heard = []
        client.on("python", heard.append)
        assert await call(client, "subscribe", "python") == [None]
        for number in range(100):
            await client.emit("publish", ("python", {"number": number}))
        while len(heard) < 100:
            await asyncio.sleep(0.005)
        assert [data["number"] for data in heard] == list(range(100))
        await client.disconnect()

    async def idle(self):
        client = await self.joined()
        await asyncio.sleep(5)
        assert client.connected
        assert await call(client, "app.square", 3) == [None, 9]
        await client.disconnect()


async def call(client, event, data):
    answer = asyncio.get_running_loop().create_future()
    await client.emit(event, data, callback=lambda *arguments: answer.set_result(list(arguments)))
    return await asyncio.wait_for(answer, LIMIT)


async def main(transports, port, *steps):
    scenario = Scenario(transports, port)
    for step in steps:
        try:
            await asyncio.wait_for(getattr(scenario, step)(), 2 * LIMIT)
        except BaseException:
            print(json.dumps({"step": step, "ok": False, "error": traceback.format_exc()}), flush=True)
            sys.exit(1)
        print(json.dumps({"step": step, "ok": True}), flush=True)


asyncio.run(main(*sys.argv[1:]))
