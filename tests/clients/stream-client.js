// One connection through socketcluster-client 15 and later: streams and promises.
'use strict';

const { Wallet } = require('./wallet');

class StreamClient {
  constructor(library, port, wallet = new Wallet(), wsOptions = undefined) {
    this.canCallInherited = true;
    this.canDeauthenticate = true;
    this.wallet = wallet;
    this.disconnects = [];
    this.connects = 0;
    this.messages = [];
    this.subscribed = new Map();
    this.socket = library.create({
      hostname: '127.0.0.1',
      port,
      secure: process.env.TLS === '1',
      authEngine: wallet,
      wsOptions,
      // Short, so that a reconnect is seen in tests; which codes reconnect at once is still the client's own rule.
      autoReconnectOptions: { initialDelay: 50, randomness: 50, multiplier: 1, maxDelay: 100 },
    });
    this.each(this.socket.listener('connect'), (status) => {
      this.status = status;
      this.connects += 1;
    });
    this.each(this.socket.listener('disconnect'), ({ code }) => this.disconnects.push(code));
    this.each(this.socket.listener('connectAbort'), ({ code }) => this.disconnects.push(code));
    this.each(this.socket.listener('message'), ({ message }) => this.messages.push(message));
    this.each(this.socket.listener('error'), () => {});
  }

  async each(stream, handler) {
    for await (const item of stream) handler(item);
  }

  invoke(action, data) {
    return this.socket.invoke(action, data);
  }

  // Calls of the server to this procedure are answered so.
  answer(name, work) {
    this.each(this.socket.procedure(name), (request) => {
      try {
        request.end(work(request.data));
      } catch (error) {
        request.error(error);
      }
    });
  }

  publish(channel, data) {
    return this.socket.invokePublish(channel, data);
  }

  // Counts each completed subscription, the ones after a reconnect too.
  subscribe(name, handler, options) {
    const channel = this.socket.subscribe(name, options);
    this.subscribed.set(name, 0);
    this.each(channel.listener('subscribe'), () => this.subscribed.set(name, this.subscribed.get(name) + 1));
    this.each(channel, handler);
  }

  unsubscribe(name) {
    this.socket.unsubscribe(name);
  }

  // Everything that `act` sends leaves as one array frame.
  batch(act) {
    this.socket.startBatch();
    const result = act();
    this.socket.flushBatch();
    return result;
  }

  // The payloads of the application's events of that name, as they come.
  events(name) {
    const heard = [];
    this.each(this.socket.receiver(name), (data) => heard.push(data));
    return heard;
  }

  authenticate(token) {
    return this.socket.authenticate(token);
  }

  // The error that the user of the client sees.
  authenticationError(token) {
    return this.socket.authenticate(token).then((status) => status.authError, (error) => error);
  }

  deauthenticate() {
    return this.socket.deauthenticate();
  }

  // The error that a subscription fails with.
  refusal(name) {
    const channel = this.socket.subscribe(name);
    return channel.listener('subscribeFail').once().then(({ error }) => error);
  }

  close() {
    this.socket.disconnect();
  }
}

module.exports = { StreamClient };
