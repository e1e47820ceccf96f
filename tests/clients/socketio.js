// usage: node socketio.js VERSION TRANSPORTS PORT STEP...
//
// Takes one generation of socket.io-client through the steps in the order given, over the transports named, and prints
// one JSON line for each, as run.js does. Every step opens what it needs and closes it.
'use strict';

const assert = require('node:assert');

const LIMIT_MS = 20000;

class SocketIo {
  constructor(version, transports, port) {
    const library = require(`socket.io-client-${version}`);
    this.io = library.io || library;
    this.version = version;
    this.transports = transports.split(',');
    this.url = `http://127.0.0.1:${port}`;
    this.port = port;
    this.sockets = [];
  }

  open(namespace = '', options = {}) {
    const socket = this.io(this.url + namespace, { transports: this.transports, forceNew: true, ...options });
    this.sockets.push(socket);
    return socket;
  }

  async joined(namespace, options) {
    const socket = this.open(namespace, options);
    await once(socket, 'connect');
    if (this.transports.length > 1) await upgraded(socket);
    return socket;
  }

  closeAll() {
    this.sockets.forEach((socket) => socket.close());
    this.sockets = [];
  }

  async connect() {
    const socket = await this.joined();
    assert(socket.id && socket.id.length >= 20, socket.id);
    const gone = once(socket, 'disconnect');
    socket.disconnect();
    assert.strictEqual(await gone, 'io client disconnect');
  }

  async square() {
    const socket = await this.joined();
    assert.deepStrictEqual(await call(socket, 'app.square', 25), [null, 625]);
    assert.deepStrictEqual(await call(socket, 'app.echo', 'a', { b: [1, null] }), [null, ['a', { b: [1, null] }]]);
    assert.deepStrictEqual(await call(socket, 'app.echo'), [null]);
    const [error] = await call(socket, 'nosuch');
    assert.strictEqual(error.name, 'UnknownActionError');
    const [refusal] = await call(socket, 'members.greeting');
    assert.strictEqual(refusal.name, 'UnauthenticatedError');
  }

  // With the shape of acknowledgements that is the default.
  async stock() {
    const socket = await this.joined();
    assert.deepStrictEqual(await call(socket, 'app.square', 25), [625]);
    assert.deepStrictEqual(await call(socket, 'app.echo'), []);
    const [refusal] = await call(socket, 'nosuch');
    assert.strictEqual(refusal.error.name, 'UnknownActionError');
    if (this.version < 4) return;
    assert.strictEqual(await socket.emitWithAck('app.square', 3), 9);
    assert.strictEqual(await socket.timeout(LIMIT_MS).emitWithAck('app.square', 4), 16);
    const answer = within('answer', (resolve) => {
      socket.timeout(LIMIT_MS).emit('app.square', 5, (error, square) => resolve([error, square]));
    });
    assert.deepStrictEqual(await answer, [null, 25]);
  }

  async binary() {
    const socket = await this.joined();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const [, one] = await call(socket, 'app.echo', bytes);
    assert(Buffer.isBuffer(one) && one.equals(bytes));
    const [, deep] = await call(socket, 'app.echo', { a: [bytes, 'text', Buffer.alloc(0)] });
    assert(deep.a[0].equals(bytes) && deep.a[1] === 'text' && deep.a[2].length === 0);
  }

  async payloads() {
    const socket = await this.joined();
    for (const text of ['', 'é', '😀', 'x😀'.repeat(1000), 'a'.repeat(1000000), '€'.repeat(300000)]) {
      assert.deepStrictEqual(await call(socket, 'app.echo', text), [null, text], `${text.length} units`);
    }
    const large = Buffer.alloc(1000000, 7);
    const [, back] = await call(socket, 'app.echo', large);
    assert(back.equals(large));
  }

  async ordered() {
    const socket = await this.joined();
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => call(socket, 'app.echo', index)));
    assert.deepStrictEqual(answers.map(([, number]) => number), Array.from({ length: 100 }, (_, index) => index));
  }

  async channels() {
    const [one, other] = [await this.joined(), await this.joined()];
    const channel = `channel-${process.pid}-${this.version}`;
    const heard = [];
    for (const socket of [one, other]) assert.deepStrictEqual(await call(socket, 'subscribe', channel), [null]);
    other.on(channel, (data) => heard.push(data));
    for (let index = 0; index < 50; index++) one.emit('publish', channel, { index });
    await until(() => heard.length === 50);
    assert.deepStrictEqual(heard.map((data) => data.index), Array.from({ length: 50 }, (_, index) => index));
    assert.deepStrictEqual(await call(other, 'unsubscribe', channel), [null]);
    await call(one, 'publish', channel, 'late');
    await call(other, 'app.echo', 'barrier');
    assert.strictEqual(heard.length, 50);
  }

  async namespaces() {
    const chat = await this.joined('/chat');
    assert.deepStrictEqual(await call(chat, 'app.square', 3), [null, 9]);
    const nowhere = this.open('/nosuch');
    const error = await once(nowhere, this.version > 2 ? 'connect_error' : 'error');
    assert.strictEqual(error.message || error, 'Invalid namespace');
  }

  async login() {
    const socket = await this.joined();
    const token = once(socket, '#setAuthToken');
    assert.deepStrictEqual(await call(socket, 'app.login', { user: 'alice' }), [null]);
    const options = this.version > 2 ? { auth: await token } : { query: await token };
    const back = await this.joined('', options);
    assert.deepStrictEqual(await call(back, 'members.greeting'), [null, 'hello, alice']);
    const bad = this.open('', this.version > 2 ? { auth: { token: 'x.y.z' } } : { query: { token: 'x.y.z' } });
    const error = await once(bad, this.version > 2 ? 'connect_error' : 'error');
    assert.strictEqual((error.data || error).name, 'AuthTokenInvalidError');
  }

  // The server's clients are pinged each second and given up after another: five are more than enough to notice.
  async idle() {
    const socket = await this.joined();
    let hasGone = false;
    socket.on('disconnect', () => (hasGone = true));
    await new Promise((resolve) => setTimeout(resolve, 5000));
    assert(!hasGone);
    assert.deepStrictEqual(await call(socket, 'app.square', 2), [null, 4]);
  }

  // Events of the server that the client acknowledges: a value, several, binary, and nothing in time.
  async asked() {
    const socket = await this.joined();
    socket.on('twice', (number, ack) => ack(number * 2));
    socket.on('pair', (data, ack) => ack(data, { b: [1] }));
    socket.on('bytes', (bytes, ack) => ack(Buffer.concat([bytes, bytes])));
    socket.on('silent', () => {});
    const ask = (event, data, ms) => call(socket, 'client.invoke', { event, data, ms });
    assert.deepStrictEqual(await ask('twice', 21), [null, 42]);
    assert.deepStrictEqual(await ask('pair', 'é'), [null, ['é', { b: [1] }]]);
    const bytes = Buffer.from([0, 1, 255]);
    const [, twice] = await ask('bytes', bytes);
    assert(twice.equals(Buffer.concat([bytes, bytes])));
    const [error] = await ask('silent', null, 100);
    assert.strictEqual(error.name, 'TimeoutError');
    const numbers = Array.from({ length: 50 }, (_, index) => index);
    const answers = await Promise.all(numbers.map((number) => ask('twice', number)));
    assert.deepStrictEqual(answers, numbers.map((number) => [null, number * 2]));
  }

  // Rooms of the application: once for each in any of them, and past the one who speaks.
  async rooms() {
    const sockets = [await this.joined(), await this.joined(), await this.joined('/chat')];
    const rooms = ['a', 'b'].map((name) => `rooms-${process.pid}-${this.version}-${name}`);
    const heard = sockets.map(() => []);
    for (const [index, socket] of sockets.entries()) {
      socket.on('said', (data) => heard[index].push(data));
      for (const room of rooms) assert.deepStrictEqual(await call(socket, 'rooms.join', room), [null]);
    }
    for (let number = 0; number < 20; number++) {
      await call(sockets[0], 'rooms.say', { to: rooms, event: 'said', data: number });
    }
    await until(() => heard[1].length >= 20 && heard[2].length >= 20);
    for (const room of rooms) await call(sockets[1], 'rooms.leave', room);
    await call(sockets[0], 'rooms.say', { to: rooms, event: 'said', data: 20 });
    await until(() => heard[2].length === 21);
    await call(sockets[1], 'app.echo', 'barrier');
    const all = Array.from({ length: 21 }, (_, index) => index);
    assert.deepStrictEqual(heard, [[], all.slice(0, 20), all]);
  }

  // The transport is lost again and again; the client comes back as whom it was, and has missed nothing.
  async recovered() {
    const channel = `recovered-${process.pid}`;
    const socket = await this.joined('', { reconnectionDelay: 10, reconnectionDelayMax: 50 });
    const other = await this.joined();
    const heard = [];
    socket.on(channel, (data) => heard.push(data));
    await call(socket, 'subscribe', channel);
    await call(socket, 'rooms.join', `${channel}-room`);
    await call(socket, 'app.login', { user: 'alice' });
    const id = socket.id;
    assert(!socket.recovered && id);
    let count = 0;
    const publish = (times) => {
      for (let time = 0; time < times; time++) other.emit('publish', channel, count++);
    };
    for (let round = 0; round < 5; round++) {
      publish(3);
      await until(() => heard.length === count);
      const back = once(socket, 'connect');
      publish(3);
      socket.io.engine.close();
      publish(10);
      await back;
      assert(socket.recovered, `round ${round}`);
      assert.strictEqual(socket.id, id);
      assert.deepStrictEqual(await call(socket, 'members.greeting'), [null, 'hello, alice']);
    }
    const said = once(socket, 'said');
    await call(other, 'rooms.say', { to: `${channel}-room`, event: 'said', data: 'room' });
    assert.strictEqual(await said, 'room');
    await until(() => heard.length === count);
    assert.deepStrictEqual(heard, Array.from({ length: count }, (_, index) => index));
    // A goodbye is final.
    const again = once(socket, 'connect');
    const gone = new Promise((resolve) => socket.io.engine.once('close', resolve));
    socket.disconnect();
    // By polling it is a request of its own, which the next handshake could overtake.
    await gone;
    socket.connect();
    await again;
    assert(!socket.recovered && socket.id !== id);
  }

  // A close code that allows it brings clients back.
  async reconnect() {
    const socket = await this.joined('', { reconnectionDelay: 10, reconnectionDelayMax: 50 });
    const gone = once(socket, 'disconnect');
    const back = once(socket, 'connect');
    socket.emit('app.drop');
    assert.match(await gone, /transport|ping/);
    await back;
    assert.deepStrictEqual(await call(socket, 'app.square', 5), [null, 25]);
  }

  // Beside a client of SocketCluster in one channel: each publishes a hundred, everybody hears everything in order.
  async meet() {
    const create = require('socketcluster-client-20').create;
    const member = create({ hostname: '127.0.0.1', port: Number(this.port) });
    const sockets = [await this.joined(), await this.joined('/chat'), await this.joined()];
    const channel = `meet-${process.pid}-${this.version}`;
    const count = 100;
    const heard = Array.from({ length: sockets.length + 1 }, () => []);
    const subscription = member.subscribe(channel);
    await subscription.listener('subscribe').once();
    (async () => {
      for await (const data of subscription) heard[sockets.length].push(data);
    })();
    for (const [index, socket] of sockets.entries()) {
      socket.on(channel, (data) => heard[index].push(data));
      assert.deepStrictEqual(await call(socket, 'subscribe', channel), [null]);
    }
    for (let number = 0; number < count; number++) {
      sockets.forEach((socket, from) => socket.emit('publish', channel, { from, number }));
      member.transmitPublish(channel, { from: sockets.length, number });
    }
    await until(() => heard.every((all) => all.length === count * heard.length));
    for (const all of heard) {
      for (let from = 0; from < heard.length; from++) {
        const numbers = all.filter((data) => data.from === from).map((data) => data.number);
        assert.deepStrictEqual(numbers, Array.from({ length: count }, (_, number) => number));
      }
    }
    member.disconnect();
  }
}

function call(socket, ...args) {
  return within(`answer to ${args[0]}`, (resolve) => socket.emit(...args, (...answer) => resolve(answer)));
}

function once(socket, event) {
  return within(event, (resolve) => socket.once(event, resolve));
}

function upgraded(socket) {
  const engine = socket.io.engine;
  if (engine.transport.name === 'websocket') return Promise.resolve();
  return within('upgrade', (resolve) => engine.once('upgrade', resolve));
}

async function until(condition) {
  const end = Date.now() + LIMIT_MS;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not in time: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function within(what, work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), LIMIT_MS);
    work((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

async function main([version, transports, port, ...steps]) {
  if (!port || steps.length === 0) throw new Error('usage: node socketio.js VERSION TRANSPORTS PORT STEP...');
  const scenario = new SocketIo(Number(version), transports, port);
  for (const step of steps) {
    const start = Date.now();
    try {
      await scenario[step]();
    } catch (error) {
      console.log(JSON.stringify({ step, ok: false, error: String(error && error.stack ? error.stack : error) }));
      process.exit(1);
    }
    scenario.closeAll();
    console.log(JSON.stringify({ step, ok: true, ms: Date.now() - start }));
  }
  process.exit(0);
}

process.on('unhandledRejection', (error) => {
  console.log(JSON.stringify({ step: 'none', ok: false, error: `unhandled: ${error && error.stack ? error.stack : error}` }));
  process.exit(1);
});

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
