// One connection through socketcluster-client 0.9, on Engine.IO 3. It never publishes before it has heard that it is
// connected, so neither does this.
'use strict';

const library = require('socketcluster-client-0.9');

class EarlyCluster {
  constructor(port, transports, cookie) {
    this.socket = library.connect({
      hostname: '127.0.0.1',
      port,
      transports,
      extraHeaders: cookie ? { cookie } : {},
      autoReconnectOptions: { delay: 50, randomness: 50 },
    });
    this.errors = [];
    this.socket.on('error', (error) => this.errors.push(error));
  }

  connected() {
    return new Promise((resolve) => { this.socket.on('connect', resolve); });
  }

  upgraded() {
    return new Promise((resolve) => { this.socket.on('upgrade', resolve); });
  }

  invoke(action, ...list) {
    const data = list.length > 1 ? list : list[0];
    return new Promise((resolve, reject) => {
      this.socket.emit(action, data, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }

  on(event, handler) {
    this.socket.on(event, handler);
  }

  subscribe(channel, handler) {
    this.socket.on(channel, handler);
    return new Promise((resolve, reject) => {
      this.socket.subscribe(channel, (error) => (error ? reject(error) : resolve()));
    });
  }

  unsubscribe(channel) {
    return new Promise((resolve, reject) => {
      this.socket.unsubscribe(channel, (error) => (error ? reject(error) : resolve()));
    });
  }

  publish(channel, data) {
    return new Promise((resolve, reject) => {
      this.socket.publish(channel, data, (error) => (error ? reject(error) : resolve()));
    });
  }

  close() {
    this.socket.disconnect();
  }
}

module.exports = { EarlyCluster };
