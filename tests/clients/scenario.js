// The steps every client must get through, written once for all generations. Each throws when the server's behaviour is
// not what the client's users rely on. A step leaves no subscription behind and uses channels of its own.
'use strict';

const { assert, until, within, sameText } = require('./check');

// A server of two shards puts a connection on either with equal chance: 64 misses in a row are a bug, not bad luck.
const SHARD_ATTEMPTS_MAX = 64;
// Every generation of npm clients, and PyPI's.
const GUESTS = 6;
const PUBLICATIONS = 1_000;
// 25,000 characters of 4 bytes: the same 100 KB, through every place that might count characters for bytes.
const BIG_ASCII = 'abcdefghij'.repeat(10_000);
const BIG_EMOJI = '🙂'.repeat(25_000);
const MIXED = 'Grüße, 你好, שלום, 👩‍👩‍👧‍👦 \u2028\u2029 "quoted" \\back\\slash\u0000\u001f </script>';

class Scenario {
  // `open` makes a new connection; `pings` is the heartbeat text that this generation of clients knows.
  constructor({ open, pings, prefix, port }) {
    this.open = open;
    this.pings = pings;
    this.prefix = prefix;
    this.port = port;
    this.clients = [];
  }

  async connectOne(wallet) {
    const client = this.open(wallet);
    this.clients.push(client);
    await until('the client connects', () => client.connects === 1);
    return client;
  }

  channel(name) {
    return `${this.prefix}/${name}`;
  }

  closeAll() {
    for (const client of this.clients) client.close();
  }

  async subscribe(client, channel, handler, options) {
    client.subscribe(channel, handler, options);
    await until(`subscription to ${channel}`, () => client.subscribed.get(channel) === 1);
  }

  // The server asks, and is answered: by a value, by an error, by nobody.
  async asked() {
    const client = await this.connectOne();
    const ask = (event, data, ms) => within(event, client.invoke('client.invoke', { event, data, ms }));
    client.answer('twice', (number) => number * 2);
    client.answer('fail', () => {
      throw Object.assign(new Error('not today'), { name: 'RefusedError' });
    });
    const answers = await Promise.all([1, 2, 3].map((number) => ask('twice', number)));
    assert.deepStrictEqual(answers, [2, 4, 6]);
    await assert.rejects(ask('fail', null), (error) => error.message === 'not today');
    await assert.rejects(ask('nobody', null, 100), (error) => error.name === 'TimeoutError');
  }

  // Two connections that live on different shards.
  async connect() {
    this.near = await this.connectOne();
    const home = await within('app.shard', this.near.invoke('app.shard'));
    for (let attempt = 0; attempt < SHARD_ATTEMPTS_MAX; attempt += 1) {
      const candidate = await this.connectOne();
      const shard = await within('app.shard', candidate.invoke('app.shard'));
      if (shard !== home) {
        this.far = candidate;
        return;
      }
      candidate.close();
    }
    assert.fail(`${SHARD_ATTEMPTS_MAX} connections in a row were all on shard ${home}`);
  }

  async square() {
    assert.equal(await within('app.square', this.near.invoke('app.square', 25)), 625);
    assert.equal(await within('app.square', this.far.invoke('app.square', -3)), 9);
  }

  async echo() {
    for (const value of [null, true, 0, '', [], {}, [1, [2, { three: 3 }]], { a: { b: [null, 'c'] } }, 1e21, MIXED]) {
      assert.deepEqual(await within('app.echo', this.near.invoke('app.echo', value)), value);
    }
    const absent = await within('app.echo', this.near.invoke('app.echo'));
    assert.equal(absent, undefined, 'an absent argument comes back absent');
  }

  // Names that every JavaScript object inherits are unknown actions like any other.
  async unknownAction() {
    const inherited = ['toString', '__proto__', 'constructor', 'hasOwnProperty'];
    for (const name of ['app.noSuchAction', ...(this.near.canCallInherited ? inherited : [])]) {
      let error = null;
      await within(`an answer to ${name}`, this.near.invoke(name, 1).catch((refusal) => { error = refusal; }));
      assert.ok(error, `${name} is refused`);
      assert.equal(typeof error.name, 'string', `${name}: the error has a name`);
      assert.notEqual(error.name, 'TimeoutError', `${name} is answered, not timed out`);
      assert.ok(typeof error.message === 'string' && error.message.length > 0, `${name}: the error has a message`);
    }
    assert.equal(await within('app.square', this.near.invoke('app.square', 4)), 16);
  }

  async acrossShards() {
    for (const [subscriber, publisher, name] of [[this.near, this.far, 'to-near'], [this.far, this.near, 'to-far']]) {
      const channel = this.channel(name);
      const received = [];
      await this.subscribe(subscriber, channel, (data) => received.push(data));
      await within('ack', publisher.publish(channel, { from: name }));
      await until('the publication', () => received.length === 1);
      assert.deepEqual(received[0], { from: name });
      // A publisher that subscribes gets its own words, too.
      await within('ack', subscriber.publish(channel, 'own'));
      await until('its own publication', () => received.length === 2);
      assert.equal(received[1], 'own');
      subscriber.unsubscribe(channel);
    }
  }

  // Both directions at once, nobody waiting for anybody.
  async ordered() {
    const lanes = [[this.near, this.far, 'ordered-to-near'], [this.far, this.near, 'ordered-to-far']];
    const all = [];
    for (const [subscriber, , name] of lanes) {
      const received = [];
      all.push(received);
      await this.subscribe(subscriber, this.channel(name), (data) => received.push(data));
    }
    const acks = [];
    for (let sequence = 0; sequence < PUBLICATIONS; sequence += 1) {
      for (const [, publisher, name] of lanes) acks.push(publisher.publish(this.channel(name), { sequence }));
    }
    await within('every ack', Promise.all(acks));
    await until('every publication', () => all.every((received) => received.length >= PUBLICATIONS));
    const fence = lanes.map(([subscriber]) => subscriber.invoke('app.echo', 'fence'));
    await within('fences', Promise.all(fence));
    const expected = Array.from({ length: PUBLICATIONS }, (_, sequence) => ({ sequence }));
    for (const received of all) assert.deepEqual(received, expected, 'each once, in the order they were published');
    for (const [subscriber, , name] of lanes) subscriber.unsubscribe(this.channel(name));
  }

  // The wire is watched, not the handler: the client itself drops what it no longer wants.
  async unsubscribe() {
    const left = this.channel('left');
    const kept = this.channel('kept');
    const fences = [];
    await this.subscribe(this.near, left, () => {});
    await this.subscribe(this.near, kept, (data) => fences.push(data));
    await within('ack', this.far.publish(left, 'before'));
    await until('the delivery before', () => deliveries(this.near, left) === 1);
    this.near.unsubscribe(left);
    await within('the server has seen it', this.near.invoke('app.echo', 'fence'));
    await within('ack', this.far.publish(left, 'after'));
    await within('ack', this.near.publish(left, 'after, by itself'));
    await within('ack', this.far.publish(kept, 'fence'));
    await until('the fence', () => fences.length === 1);
    assert.equal(deliveries(this.near, left), 1, 'nothing is delivered after the unsubscription');
    this.near.unsubscribe(kept);
  }

  async payloads() {
    const channel = this.channel('räume/日本/🙂');
    const received = [];
    await this.subscribe(this.near, channel, (data) => received.push(data));
    for (const [what, text] of [['100 KB', BIG_ASCII], ['100 KB of emoji', BIG_EMOJI], ['mixed scripts', MIXED]]) {
      sameText(await within(what, this.far.invoke('app.echo', text)), text, `${what}, echoed`);
      received.length = 0;
      await within('ack', this.far.publish(channel, { text }));
      await until(what, () => received.length === 1);
      sameText(received[0].text, text, `${what}, published`);
    }
    this.near.unsubscribe(channel);
  }

  // Clients 15 and later put anything into one array frame.
  async batch() {
    const channel = this.channel('batch');
    const received = [];
    await this.subscribe(this.far, channel, (data) => received.push(data));
    const calls = this.near.batch(() => {
      const promises = [];
      for (let index = 0; index < 50; index += 1) {
        promises.push(this.near.invoke('app.square', index), this.near.publish(channel, index));
      }
      return promises;
    });
    const answers = await within('every answer', Promise.all(calls));
    const squares = answers.filter((_, index) => index % 2 === 0);
    assert.deepEqual(squares, Array.from({ length: 50 }, (_, index) => index * index));
    await until('every publication', () => received.length === 50);
    assert.deepEqual(received, Array.from({ length: 50 }, (_, index) => index), 'in the order of the array');
    this.far.unsubscribe(channel);
  }

  // Client 14 groups subscriptions of channels that ask for it.
  async batchOfSubscriptions() {
    const names = Array.from({ length: 20 }, (_, index) => this.channel(`batch-${index}`));
    const received = new Set();
    this.near.batch((options) => {
      for (const name of names) this.near.subscribe(name, (data) => received.add(data), options);
    });
    await until('all subscriptions', () => names.every((name) => this.near.subscribed.get(name) === 1));
    await within('acks', Promise.all(names.map((name) => this.far.publish(name, name))));
    await until('all publications', () => received.size === names.length);
    for (const name of names) this.near.unsubscribe(name);
  }

  async reconnect() {
    const channel = this.channel('survives');
    const received = [];
    const client = await this.connectOne();
    await this.subscribe(client, channel, (data) => received.push(data));
    await within('ack', this.far.publish(channel, 'first life'));
    await until('the first publication', () => received.length === 1);
    // The call may be answered before the connection goes or fail because it went: both are right.
    client.invoke('app.drop').catch(() => {});
    await until('the server drops the client', () => client.disconnects.length === 1);
    await until('the client comes back', () => client.connects === 2);
    await until('it subscribes again', () => client.subscribed.get(channel) === 2);
    await within('ack', this.far.publish(channel, 'second life'));
    await until('the second publication', () => received.length === 2);
    assert.deepEqual(received, ['first life', 'second life']);
    assert.equal(await within('app.square', client.invoke('app.square', 12)), 144);
    assert.equal(client.disconnects.length, 1);
    client.close();
  }

  // A client that says nothing of its own accord lives as long as it answers the server's heartbeats. The server finds
  // out which text this client answers, and then sends no other.
  async idle(pingsMin = 8) {
    const client = await this.connectOne();
    const known = (message) => message === this.pings;
    const isPing = (message) => ['', '#1', '1'].includes(message);
    const limitMs = 60_000;
    await until(`${pingsMin} heartbeats, or an end`,
      () => client.messages.filter(known).length >= pingsMin || client.disconnects.length > 0, limitMs);
    assert.deepEqual(client.disconnects, [], 'the connection outlives its heartbeats');
    const recent = client.messages.filter(isPing).slice(-pingsMin / 2);
    assert.deepEqual(recent.filter((ping) => ping !== this.pings), [], 'the server has settled on this heartbeat');
    assert.equal(await within('app.square', client.invoke('app.square', 5)), 25);
    client.close();
  }

  // All six clients come into one room and speak; nobody leaves before it has heard everybody and everybody has heard it.
  async meet() {
    const client = await this.connectOne();
    const heard = new Set();
    const done = new Set();
    await this.subscribe(client, 'meet', ({ name, sentAll }) => (sentAll ? done : heard).add(name));
    const everybody = (set) => set.size === GUESTS;
    await this.repeat('everybody is heard', () => everybody(heard), () => client.publish('meet', { name: this.prefix }));
    const farewell = { name: this.prefix, sentAll: true };
    await this.repeat('everybody has heard everybody', () => everybody(done), async () => {
      await client.publish('meet', { name: this.prefix });
      await client.publish('meet', farewell);
    });
    // Those who are still waiting must hear the farewell after they subscribed, which they all have by now.
    await within('ack', client.publish('meet', farewell));
    client.close();
  }

  // Repeats an act until the condition holds: the others arrive when they like.
  async repeat(what, condition, act) {
    await until(what, () => {
      if (condition()) return true;
      if (!this.acting) {
        this.acting = true;
        act().finally(() => setTimeout(() => { this.acting = false; }, 20));
      }
      return false;
    });
    await until('the last act', () => !this.acting);
  }

  // As `idle`, with the time-outs that the server has unless told otherwise: 3 heartbeats are 24 s, the time-out is 20 s.
  async idleDefault() {
    await this.idle(4);
  }
}

// How many publications of `channel` the server sent to `client`, as they came off the wire.
function deliveries(client, channel) {
  return client.messages.filter((message) => {
    if (typeof message !== 'string' || !message.startsWith('{')) return false;
    const packet = JSON.parse(message);
    return packet.event === '#publish' && packet.data.channel === channel;
  }).length;
}

module.exports = { Scenario };
