// One connection to SocketStream 0.4's realtime services: realtime-service-client runs each service, with what the server
// sends of it. The rest of its client is on no registry; what stands here for it says what the recordings of it say.
'use strict';

const vm = require('node:vm');

const EngineSocket = require('engine.io-client-3');
const Service = require('realtime-service-client');
const WebSocket = require('ws');

class Services {
  // By WebSocket where no transports of Engine.IO are named.
  constructor(port, transports, cookie) {
    const headers = cookie ? { cookie } : {};
    this.services = {};
    this.complaints = [];
    this.connection = { write: (text) => this.socket.send(text) };
    if (transports) {
      this.socket = new EngineSocket(`http://127.0.0.1:${port}`, {
        path: '/',
        transports,
        extraHeaders: headers,
      });
      this.socket.on('message', (text) => this.process(text));
    } else {
      this.socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers });
      this.socket.on('message', (data) => this.process(data.toString()));
    }
    this.opened = new Promise((resolve) => { this.socket.on('open', resolve); });
    this.system = this.provide({ id: '0', name: '_system', use: { json: true, callbacks: true } }, (service) => {
      service.onmessage = (said) => this.complaints.push(said);
      return (command) => new Promise((resolve) => { service.send(command, resolve); });
    });
  }

  provide(params, handler) {
    this.services[params.id] = new Service(this, params);
    return handler(this.services[params.id]);
  }

  process(text) {
    const parts = text.split('|');
    this.services[parts.shift()].read(parts);
  }

  async connected() {
    await this.opened;
    this.session = (await this.system({ c: 'connect', v: '0.0.1', sessionId: false })).sessionId;
    const found = await this.system({ c: 'discover', p: {} });
    const console = { error: (text) => this.complaints.push(text) };
    for (const { params, handler } of found) {
      // As the client does it, by a statement that the source is put into.
      const made = vm.runInNewContext(`var handler; handler = ${handler}; handler`, { console });
      this[params.name] = this.provide(params, made);
    }
  }

  upgraded() {
    return new Promise((resolve) => { this.socket.on('upgrade', resolve); });
  }

  invoke(action, ...list) {
    return new Promise((resolve) => { this.rpc(action, ...list, resolve); });
  }

  // Listeners get the list of arguments.
  on(event, handler) {
    this.pubsub.on(event, ([data]) => handler(data));
  }

  subscribe(channel, handler) {
    this.on(channel, handler);
    return this.invoke('subscribe', channel);
  }

  unsubscribe(channel) {
    return this.invoke('unsubscribe', channel);
  }

  publish(channel, data) {
    return this.invoke('publish', channel, data);
  }

  close() {
    this.socket.close();
  }
}

module.exports = { Services };
