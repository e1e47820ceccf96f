// usage: node engineio.js VERSION TRANSPORTS PORT STEP...
//
// Takes one generation of engine.io-client through the steps in the order given, as socketio.js does its clients.
'use strict';

const assert = require('node:assert');

const LIMIT_MS = 20000;

class EngineIo {
  constructor(version, transports, port) {
    const library = require(`engine.io-client-${version}`);
    this.Socket = library.Socket && version > 3 ? library.Socket : library;
    this.transports = transports.split(',');
    this.url = `http://127.0.0.1:${port}`;
  }

  async opened() {
    const socket = new this.Socket(this.url, { path: '/echo.io/', transports: this.transports });
    socket.binaryType = 'nodebuffer';
    await event(socket, 'open');
    if (this.transports.length > 1) await event(socket, 'upgrade');
    return socket;
  }

  async echo() {
    const socket = await this.opened();
    const heard = [];
    socket.on('message', (message) => heard.push(message));
    const sent = ['plain', 'é€😀', Buffer.from([0, 1, 2, 255]), '\u001e is escaped by nobody', 'x'.repeat(1000000)];
    // A payload of protocol 4 has no way to say its own separator.
    if (!this.transports.includes('websocket')) sent.splice(3, 1);
    sent.forEach((message) => socket.send(message));
    const end = Date.now() + LIMIT_MS;
    while (heard.length < sent.length) {
      if (Date.now() > end) throw new Error(`${heard.length} of ${sent.length} came back`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    heard.forEach((message, index) => assert(Buffer.from(message).equals(Buffer.from(sent[index])), `message ${index}`));
    socket.close();
  }

  async idle() {
    const socket = await this.opened();
    let hasGone = false;
    socket.on('close', () => (hasGone = true));
    await new Promise((resolve) => setTimeout(resolve, 5000));
    assert(!hasGone);
    socket.close();
  }

  async unknownVersion() {
    const response = await fetch(`${this.url}/echo.io/?EIO=5&transport=polling`);
    assert.strictEqual(response.status, 400);
    assert.deepStrictEqual(await response.json(), { code: 5, message: 'Unsupported protocol version' });
  }
}

function event(socket, name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not in time: ${name}`)), LIMIT_MS);
    socket.once('error', reject);
    socket.once(name, (value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

async function main([version, transports, port, ...steps]) {
  if (!port || steps.length === 0) throw new Error('usage: node engineio.js VERSION TRANSPORTS PORT STEP...');
  const scenario = new EngineIo(Number(version), transports, port);
  for (const step of steps) {
    const start = Date.now();
    try {
      await scenario[step]();
    } catch (error) {
      console.log(JSON.stringify({ step, ok: false, error: String(error && error.stack ? error.stack : error) }));
      process.exit(1);
    }
    console.log(JSON.stringify({ step, ok: true, ms: Date.now() - start }));
  }
  process.exit(0);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
