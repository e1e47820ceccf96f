"""usage: crowd.py PORT CHANNEL

A guest of crowd.js through python-socketio: prints what it hears in the channel, and publishes each line that it reads.
"""

import asyncio
import json
import sys

import socketio


async def main(port, channel):
    client = socketio.AsyncClient(reconnection=False)
    client.on(channel, lambda data: print(json.dumps(data), flush=True))
    await client.connect(f"http://127.0.0.1:{port}", transports=["websocket"])
    await client.call("subscribe", channel)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await client.emit("publish", (channel, json.loads(line)))
    await client.disconnect()


asyncio.run(main(*sys.argv[1:]))
