// One connection through socketcluster-client 14 and earlier: emitters and callbacks.
'use strict';

const { Wallet } = require('./wallet');

class CallbackClient {
  constructor(library, port, wallet = new Wallet()) {
    this.wallet = wallet;
    // These clients look events up in an object of local ones, where such names are found: they never send them.
    this.canCallInherited = false;
    this.disconnects = [];
    this.connects = 0;
    this.messages = [];
    this.subscribed = new Map();
    this.socket = library.connect({
      hostname: '127.0.0.1',
      port,
      secure: process.env.TLS === '1',
      authEngine: wallet,
      // Else a second client with equal options is the first one.
      multiplex: false,
      // Short, so that a reconnect is seen in tests; which codes reconnect at once is still the client's own rule.
      autoReconnectOptions: { initialDelay: 50, randomness: 50, multiplier: 1, maxDelay: 100 },
    });
    // Generation 2 knows of authentication what came with the handshake, and cannot give its token up.
    this.canDeauthenticate = typeof this.socket.deauthenticate === 'function';
    this.socket.on('connect', (status) => {
      this.status = status;
      this.connects += 1;
    });
    this.socket.on('disconnect', (code) => this.disconnects.push(code));
    this.socket.on('connectAbort', (code) => this.disconnects.push(code));
    this.socket.on('message', (message) => this.messages.push(message));
    this.socket.on('error', () => {});
  }

  invoke(action, data) {
    return new Promise((resolve, reject) => {
      this.socket.emit(action, data, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }

  // Events of the server of this name are answered so.
  answer(name, work) {
    this.socket.on(name, (data, respond) => {
      try {
        respond(null, work(data));
      } catch (error) {
        respond(error);
      }
    });
  }

  publish(channel, data) {
    return new Promise((resolve, reject) => {
      this.socket.publish(channel, data, (error) => (error ? reject(error) : resolve()));
    });
  }

  // Counts each completed subscription, the ones after a reconnect too.
  subscribe(name, handler, options) {
    const channel = this.socket.subscribe(name, options);
    this.subscribed.set(name, 0);
    channel.on('subscribe', () => this.subscribed.set(name, this.subscribed.get(name) + 1));
    channel.watch(handler);
  }

  unsubscribe(name) {
    this.socket.unsubscribe(name);
  }

  // Only subscriptions can be batched by these clients, by an option of the channel.
  batch(act) {
    return act({ batch: true });
  }

  authenticate(token) {
    return new Promise((resolve, reject) => {
      this.socket.authenticate(token, (error, status) => (error ? reject(error) : resolve(status)));
    });
  }

  // The error that the user of the client sees.
  authenticationError(token) {
    return this.authenticate(token).then((status) => status.authError, (error) => error);
  }

  deauthenticate() {
    return new Promise((resolve) => { this.socket.deauthenticate(resolve); });
  }

  // The error that a subscription fails with.
  refusal(name) {
    return new Promise((resolve) => { this.socket.subscribe(name).on('subscribeFail', resolve); });
  }

  close() {
    this.socket.disconnect();
  }
}

module.exports = { CallbackClient };
