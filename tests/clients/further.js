// usage: node further.js CLIENT TRANSPORTS PORT STEP...
//
// Takes a client of SocketStream or of SocketCluster 0.9 through the steps in the order given, over the transports named,
// and prints one JSON line for each, as run.js does. Every step opens what it needs and closes it.
'use strict';

const { assert, until, within } = require('./check');
const { EarlyCluster } = require('./early-cluster');
const { Services } = require('./services');
const { LaterStreaming, Streaming } = require('./streaming');

const CLIENTS = {
  'socketcluster-0.9': EarlyCluster,
  'socketstream-0.3': Streaming,
  'socketstream-0.5': LaterStreaming,
  services: Services,
};

// Each new connection lands on one of two shards, by chance.
const SHARD_ATTEMPTS_MAX = 40;

class Further {
  constructor(name, transports, port) {
    this.name = name;
    this.Client = CLIENTS[name];
    this.transports = transports === 'plain' ? undefined : transports.split(',');
    this.port = Number(port);
    this.base = `http://127.0.0.1:${port}`;
    this.opened = [];
  }

  async open(cookie) {
    const client = new this.Client(this.port, this.transports, cookie);
    this.opened.push(client);
    const isOver = this.transports?.length > 1 ? client.upgraded() : undefined;
    await within('connect', client.connected());
    if (isOver) await within('upgrade', isOver);
    return client;
  }

  closeAll() {
    this.opened.forEach((client) => client.close());
    this.opened = [];
  }

  async other(client) {
    const shard = await client.invoke('app.shard');
    for (let attempt = 0; attempt < SHARD_ATTEMPTS_MAX; attempt += 1) {
      const other = await this.open();
      if ((await other.invoke('app.shard')) !== shard) return other;
    }
    return assert.fail(`${SHARD_ATTEMPTS_MAX} connections in a row were all on shard ${shard}`);
  }

  async square() {
    const client = await this.open();
    assert.equal(await client.invoke('app.square', 25), 625);
    assert.deepEqual(await client.invoke('app.echo', 'a', { b: [1, null] }), ['a', { b: [1, null] }]);
    assert.equal(await client.invoke('app.echo'), undefined);
  }

  // Of these clients only the one of SocketCluster lets its user see what went wrong; the others write it down.
  async errors() {
    const client = await this.open();
    for (const [action, text] of [['nosuch.action', 'nosuch.action'], ['members.greeting', 'log in first']]) {
      if (client.complaints) {
        client.invoke(action);
        await until(`a complaint about ${action}`, () => client.complaints.some((said) => said.includes(text)));
      } else {
        const error = await client.invoke(action).then(() => assert.fail(`${action} fails`), (failure) => failure);
        assert.ok(error.message.includes(text), error.message);
      }
    }
    assert.equal(await client.invoke('app.square', 3), 9);
  }

  async payloads() {
    const client = await this.open();
    for (const text of ['', 'é|', '😀', 'x😀'.repeat(1000), '€'.repeat(20000)]) {
      assert.equal(await client.invoke('app.echo', text), text);
    }
  }

  async ordered() {
    const client = await this.open();
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    assert.deepEqual(await Promise.all(numbers.map((number) => client.invoke('app.echo', number))), numbers);
  }

  async channels() {
    const client = await this.open();
    const other = await this.other(client);
    const channel = `channel.${process.pid}`;
    const heard = [];
    await within('subscribe', other.subscribe(channel, (data) => heard.push(data.index)));
    const published = Array.from({ length: 50 }, (_, index) => client.publish(channel, { index }));
    await within('publish', Promise.all(published));
    await until('50 publications', () => heard.length === 50);
    assert.deepEqual(heard, Array.from({ length: 50 }, (_, index) => index));
    await within('unsubscribe', other.unsubscribe(channel));
    await client.publish(channel, { index: 'late' });
    await other.invoke('app.echo', 'barrier');
    assert.equal(heard.length, 50);
  }

  // The session of the cookie that an HTTP response has set is the client's as well, and so are its user and its channels.
  async sessions() {
    const set = await fetch(`${this.base}/api/session/set`, { method: 'POST', body: JSON.stringify(['seen', 7]) });
    assert.equal(set.status, 200);
    const [cookie] = set.headers.get('set-cookie').split(';');
    const [client, sibling] = [await this.open(cookie), await this.open(cookie)];
    assert.deepEqual(await client.invoke('session.all'), { seen: 7 });
    const room = `room.${process.pid}`;
    const heard = [];
    sibling.on(room, (data) => heard.push(data));
    sibling.on('told', (data) => heard.push(data));
    await client.invoke('session.subscribe', room);
    await client.publish(room, 'in the room');
    await until('a publication', () => heard.length === 1);
    await client.invoke('session.login', `user.${process.pid}`);
    const stranger = await this.open();
    await stranger.invoke('publish.user', { to: `user.${process.pid}`, event: 'told', data: 'to a user' });
    await until('an event', () => heard.length === 2);
    assert.deepEqual(heard, ['in the room', 'to a user']);
  }

  // The server gives clients up that are silent for two seconds.
  async idle() {
    const client = await this.open();
    await new Promise((resolve) => { setTimeout(resolve, 5000); });
    assert.equal(await client.invoke('app.square', 2), 4);
  }
}

async function main([name, transports, port, ...steps]) {
  if (!CLIENTS[name] || steps.length === 0) throw new Error('usage: node further.js CLIENT TRANSPORTS PORT STEP...');
  const scenario = new Further(name, transports, port);
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
