// usage: node crowd.js PORT PYTHON crowd
//
// One client of every kind comes into one channel; each publishes a hundred numbered messages, and each must hear all of
// everybody's, each one's in order. Prints one JSON line, as run.js does.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const readline = require('node:readline');

const { CallbackClient } = require('./callback-client');
const { assert, until, within } = require('./check');
const { EarlyCluster } = require('./early-cluster');
const { Services } = require('./services');
const { StreamClient } = require('./stream-client');
const { Streaming } = require('./streaming');

const COUNT = 100;
const CHANNEL = 'crowd';

// A generation of socketcluster-client.
class Cluster {
  constructor(version, port) {
    const Client = version > 14 ? StreamClient : CallbackClient;
    this.client = new Client(require(`socketcluster-client-${version}`), port);
  }

  async come(heard) {
    this.client.subscribe(CHANNEL, heard);
    await until('a subscription', () => this.client.subscribed.get(CHANNEL) === 1);
  }

  publish(data) {
    return this.client.publish(CHANNEL, data);
  }

  close() {
    this.client.close();
  }
}

// A generation of socket.io-client.
class Io {
  constructor(version, port, transports) {
    const library = require(`socket.io-client-${version}`);
    this.socket = (library.io || library)(`http://127.0.0.1:${port}`, { transports, forceNew: true });
  }

  call(...list) {
    return new Promise((resolve) => { this.socket.emit(...list, resolve); });
  }

  async come(heard) {
    this.socket.on(CHANNEL, heard);
    await this.call('subscribe', CHANNEL);
  }

  publish(data) {
    return this.call('publish', CHANNEL, data);
  }

  close() {
    this.socket.close();
  }
}

// The clients that have words of their own for all of this.
class Further {
  constructor(Client, port, transports) {
    this.client = new Client(port, transports);
  }

  async come(heard) {
    await this.client.connected();
    await this.client.subscribe(CHANNEL, heard);
  }

  publish(data) {
    return this.client.publish(CHANNEL, data);
  }

  close() {
    this.client.close();
  }
}

// A client in a process of its own: it prints what it hears, and publishes what it reads.
class Process {
  constructor(program, list) {
    this.process = spawn(program, list, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = readline.createInterface({ input: this.process.stdout });
  }

  come(heard) {
    return new Promise((resolve) => {
      this.lines.on('line', (line) => (line === 'ready' ? resolve() : heard(JSON.parse(line))));
    });
  }

  async publish(data) {
    this.process.stdin.write(`${JSON.stringify(data)}\n`);
  }

  close() {
    this.process.stdin.end();
  }
}

function everybody(port, python) {
  const both = ['polling', 'websocket'];
  return [
    ...[20, 16, 14, 5, 2].map((version) => new Cluster(version, port)),
    ...[4, 3, 2].map((version) => new Io(version, port, ['websocket'])),
    new Io(4, port, ['polling']),
    new Io(2, port, both),
    new Further(EarlyCluster, port, ['websocket']),
    new Further(EarlyCluster, port, ['polling']),
    new Further(Streaming, port, ['websocket']),
    new Further(Streaming, port, both),
    new Further(Services, port),
    new Further(Services, port, ['polling']),
    new Process(python, [path.join(__dirname, 'crowd.py'), String(port), CHANNEL]),
  ];
}

async function crowd(port, python) {
  const guests = everybody(port, python);
  const heard = guests.map(() => []);
  await within('everybody comes', Promise.all(guests.map((guest, index) => guest.come((data) => heard[index].push(data)))));
  for (let number = 0; number < COUNT; number += 1) guests.forEach((guest, from) => guest.publish({ from, number }));
  const all = guests.length * COUNT;
  await until('everybody has heard everybody', () => heard.every((list) => list.length >= all)).catch((error) => {
    throw new Error(`${error.message}: ${heard.map((list) => list.length)} of ${all}`);
  });
  const numbers = Array.from({ length: COUNT }, (_, number) => number);
  heard.forEach((list, index) => {
    guests.forEach((_, from) => {
      const own = list.filter((data) => data.from === from).map((data) => data.number);
      assert.deepEqual(own, numbers, `what guest ${index} has heard of guest ${from}`);
    });
  });
  guests.forEach((guest) => guest.close());
}

async function main([port, python, ...steps]) {
  if (steps.join() !== 'crowd') throw new Error('usage: node crowd.js PORT PYTHON crowd');
  const start = Date.now();
  try {
    await crowd(Number(port), python);
  } catch (error) {
    console.log(JSON.stringify({ step: 'crowd', ok: false, error: String(error && error.stack ? error.stack : error) }));
    process.exit(1);
  }
  console.log(JSON.stringify({ step: 'crowd', ok: true, ms: Date.now() - start }));
  process.exit(0);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
