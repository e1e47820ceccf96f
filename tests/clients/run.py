"""usage: python run.py PORT STEP...

Takes PyPI's socketclusterclient through the steps in the order given and prints one JSON line for each, as run.js does
for the npm clients: {"step":"square","ok":true,"ms":3} or {"step":"square","ok":false,"error":"..."}. Stops at the first
failure and then exits with 1.
"""

import json
import os
import sys
import threading
import time
import traceback

from socketclusterclient import Socketcluster

SCHEME = "wss" if os.environ.get("TLS") == "1" else "ws"
# Longer than any healthy step takes on a loaded 2-core machine; shorter than the Rust side's patience with this process.
STEP_SECONDS_MAX = 30
# A server of two shards puts a connection on either with equal chance: 64 misses in a row are a bug, not bad luck.
SHARD_ATTEMPTS_MAX = 64
# Every generation of npm clients, and this one.
GUESTS = 6
PUBLICATIONS = 1_000
BIG_ASCII = "abcdefghij" * 10_000
# This client escapes each of them to 12 bytes: 96 KB on the wire.
BIG_EMOJI = "\U0001f642" * 8_000
MIXED = "Grüße, 你好, שלום, 👩‍👩‍👧‍👦 \u2028\u2029 \"quoted\" \\back\\slash\u0000\u001f </script>"


def until(what, condition, limit=STEP_SECONDS_MAX):
    """Returns once the condition holds, raises when it does not in time."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit} s in vain: {what}")
        time.sleep(0.002)


def same(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: {str(actual)[:200]} instead of {str(expected)[:200]}")


class Client:
    """One connection. The library itself is untouched; its two halves are kept from overtaking each other, because it
    notes a call's id only after the call is on the wire."""

    def __init__(self, port):
        self.connects = 0
        self.disconnects = 0
        self.frames = []
        self.lock = threading.RLock()
        self.socket = Socketcluster.socket(f"{SCHEME}://127.0.0.1:{port}/socketcluster/")
        self.socket.setBasicListener(None, self.on_disconnected, None)
        self.socket.setAuthenticationListener(None, self.on_authentication)
        self.socket.setdelay(0.05)
        self.socket.setreconnection(True)
        library = self.socket.on_message

        def on_message(ws, message):
            with self.lock:
                self.frames.append(message)
                library(ws, message)

        self.socket.on_message = on_message
        threading.Thread(target=self.socket.connect, daemon=True).start()

    def on_authentication(self, _socket, _is_authenticated):
        self.connects += 1

    def on_disconnected(self, _socket):
        self.disconnects += 1

    def start(self, action, argument):
        """Sends a call; the returned list holds (error, data) once it is answered."""
        answer = []
        with self.lock:
            self.socket.emitack(action, argument, lambda _name, error, data: answer.append((error, data)))
        return answer

    def call(self, action, argument=None):
        answer = self.start(action, argument)
        until(f"an answer to {action}", lambda: answer)
        return answer[0]

    def invoke(self, action, argument=None):
        error, data = self.call(action, argument)
        same(error, "", f"the error of {action}")
        return data

    def start_publish(self, channel, data):
        answer = []
        with self.lock:
            self.socket.publishack(channel, data, lambda _name, error, _data: answer.append(error))
        return answer

    def publish(self, channel, data):
        answer = self.start_publish(channel, data)
        until(f"the ack of a publication to {channel}", lambda: answer)
        same(answer[0], "", "the error of the publication")

    def subscribe(self, channel, handler):
        answer = []
        with self.lock:
            self.socket.onchannel(channel, lambda _channel, data: handler(data))
            self.socket.subscribeack(channel, lambda _name, error, _data: answer.append(error))
        until(f"the subscription to {channel}", lambda: answer)
        same(answer[0], "", f"the error of the subscription to {channel}")

    def unsubscribe(self, channel):
        with self.lock:
            self.socket.unsubscribe(channel)

    def packets(self):
        return [json.loads(frame) for frame in list(self.frames) if frame.startswith("{")]

    def deliveries(self, channel):
        """Publications of the channel as they came off the wire, wanted or not."""
        published = [packet for packet in self.packets() if packet.get("event") == "#publish"]
        return sum(1 for packet in published if packet["data"]["channel"] == channel)

    def close(self):
        self.socket.setreconnection(False)
        self.socket.disconnect()


class Scenario:
    def __init__(self, port):
        self.port = port
        self.prefix = f"python/{os.getpid()}"

    def channel(self, name):
        return f"{self.prefix}/{name}"

    def connect_one(self):
        client = Client(self.port)
        until("the client connects", lambda: client.connects == 1)
        return client

    def connect(self):
        self.near = self.connect_one()
        home = self.near.invoke("app.shard")
        for _ in range(SHARD_ATTEMPTS_MAX):
            candidate = self.connect_one()
            if candidate.invoke("app.shard") != home:
                self.far = candidate
                return
            candidate.close()
        raise AssertionError(f"{SHARD_ATTEMPTS_MAX} connections in a row were all on shard {home}")

    def square(self):
        same(self.near.invoke("app.square", 25), 625, "app.square")
        same(self.far.invoke("app.square", -3), 9, "app.square")

    def echo(self):
        for value in [None, True, 0, "", [], {}, [1, [2, {"three": 3}]], {"a": {"b": [None, "c"]}}, 1e21, MIXED]:
            same(self.near.invoke("app.echo", value), value, "app.echo")

    def unknownAction(self):
        for name in ["app.noSuchAction", "toString", "__proto__", "constructor", "hasOwnProperty"]:
            error, _ = self.call_near(name)
            if not isinstance(error, dict) or not error.get("name") or not error.get("message"):
                raise AssertionError(f"{name} is refused with a name and a message, not with {error!r}")
        same(self.near.invoke("app.square", 4), 16, "app.square")

    def call_near(self, name):
        return self.near.call(name, 1)

    def lanes(self, name):
        """(subscriber, publisher, channel) for either direction."""
        return [
            (self.near, self.far, self.channel(f"{name}-to-near")),
            (self.far, self.near, self.channel(f"{name}-to-far")),
        ]

    def acrossShards(self):
        for subscriber, publisher, channel in self.lanes("across"):
            received = []
            subscriber.subscribe(channel, received.append)
            publisher.publish(channel, {"from": channel})
            until("the publication", lambda: len(received) == 1)
            same(received[0], {"from": channel}, "the publication")
            subscriber.publish(channel, "own")
            until("its own publication", lambda: len(received) == 2)
            same(received[1], "own", "its own publication")
            subscriber.unsubscribe(channel)

    def ordered(self):
        inboxes = []
        acks = []
        for subscriber, _, channel in self.lanes("ordered"):
            received = []
            inboxes.append(received)
            subscriber.subscribe(channel, received.append)
        for sequence in range(PUBLICATIONS):
            for _, publisher, channel in self.lanes("ordered"):
                acks.append(publisher.start_publish(channel, {"sequence": sequence}))
        until("every ack", lambda: all(acks))
        until("every publication", lambda: all(len(received) >= PUBLICATIONS for received in inboxes))
        for subscriber, _, channel in self.lanes("ordered"):
            subscriber.invoke("app.echo", "fence")
            subscriber.unsubscribe(channel)
        expected = [{"sequence": sequence} for sequence in range(PUBLICATIONS)]
        for received in inboxes:
            same(received, expected, "each once, in the order they were published")

    def unsubscribe(self):
        left, kept, fences = self.channel("left"), self.channel("kept"), []
        self.near.subscribe(left, lambda _: None)
        self.near.subscribe(kept, fences.append)
        self.far.publish(left, "before")
        until("the delivery before", lambda: self.near.deliveries(left) == 1)
        self.near.unsubscribe(left)
        self.near.invoke("app.echo", "fence")
        self.far.publish(left, "after")
        self.near.publish(left, "after, by itself")
        self.far.publish(kept, "fence")
        until("the fence", lambda: len(fences) == 1)
        same(self.near.deliveries(left), 1, "deliveries after the unsubscription")
        self.near.unsubscribe(kept)

    def payloads(self):
        channel, received = self.channel("räume/日本/🙂"), []
        self.near.subscribe(channel, received.append)
        for what, text in [("100 KB", BIG_ASCII), ("96 KB of emoji", BIG_EMOJI), ("mixed scripts", MIXED)]:
            same(self.far.invoke("app.echo", text), text, f"{what}, echoed")
            received.clear()
            self.far.publish(channel, {"text": text})
            until(what, lambda: len(received) == 1)
            same(received[0], {"text": text}, f"{what}, published")
        self.near.unsubscribe(channel)

    def reconnect(self):
        channel, received = self.channel("survives"), []
        client = self.connect_one()
        client.subscribe(channel, received.append)
        self.far.publish(channel, "first life")
        until("the first publication", lambda: len(received) == 1)
        client.start("app.drop", None)
        until("the server drops the client", lambda: client.disconnects == 1)
        del client.frames[:]
        until("the client comes back", lambda: client.connects == 2)
        # Its id counter restarts: the handshake is 1 and the repeated subscription 2, whose answer it shows to nobody.
        until("it subscribes again", lambda: any(packet.get("rid") == 2 for packet in client.packets()))
        self.far.publish(channel, "second life")
        until("the second publication", lambda: len(received) == 2)
        same(received, ["first life", "second life"], "the publications")
        same(client.invoke("app.square", 12), 144, "app.square")
        same(client.disconnects, 1, "disconnects")
        client.close()

    def idle(self, pings_min=8):
        client = self.connect_one()
        limit = 60
        until(
            f"{pings_min} heartbeats, or an end",
            lambda: client.frames.count("") >= pings_min or client.disconnects > 0,
            limit,
        )
        same(client.disconnects, 0, "disconnects of an idle client")
        recent = [frame for frame in list(client.frames) if frame in ("", "#1", "1")][-pings_min // 2 :]
        same(set(recent), {""}, "the heartbeats that the server has settled on")
        same(client.invoke("app.square", 5), 25, "app.square")
        client.close()

    def meet(self):
        client, heard, done = self.connect_one(), set(), set()
        client.subscribe("meet", lambda data: (done if data.get("sentAll") else heard).add(data["name"]))
        greeting, farewell = {"name": self.prefix}, {"name": self.prefix, "sentAll": True}

        def repeat(what, condition, words):
            end = time.monotonic() + STEP_SECONDS_MAX
            while not condition():
                if time.monotonic() > end:
                    raise AssertionError(f"waited in vain: {what}")
                for word in words:
                    client.publish("meet", word)
                time.sleep(0.02)

        repeat("everybody is heard", lambda: len(heard) == GUESTS, [greeting])
        repeat("everybody has heard everybody", lambda: len(done) == GUESTS, [greeting, farewell])
        client.publish("meet", farewell)
        client.close()

    def idleDefault(self):
        self.idle(4)


def report(**line):
    print(json.dumps(line), flush=True)


def main(port, *steps):
    scenario = Scenario(int(port))
    for step in steps:
        start = time.monotonic()
        try:
            getattr(scenario, step)()
        except Exception:
            report(step=step, ok=False, error=traceback.format_exc())
            return 1
        report(step=step, ok=True, ms=round((time.monotonic() - start) * 1000))
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    code = main(*sys.argv[1:])
    # The library's threads have no end of their own.
    sys.stdout.flush()
    os._exit(code)
