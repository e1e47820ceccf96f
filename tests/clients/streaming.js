// One connection through SocketStream's own client of version 0.3 or 0.5, which is made for browsers: its modules are run in
// a context of their own, with the little of a window that they use. A call that fails only writes to the console there.
//
// What is published of 0.5 lacks a module of the client, `socketstream-session`; what stands here for it is all that the
// others want of it. Engine.IO's client, which an application chose for itself, is the last one of protocol 3.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const WebSocket = require('ws');
const { XMLHttpRequest } = require('xmlhttprequest-ssl');

const MODULES = {
  eventemitter2: 'lib/client/system/modules/eventemitter2.js',
  socketstream: 'lib/client/system/modules/socketstream.js',
  'socketstream-transport': 'lib/websocket/transports/engineio/wrapper.js',
  events: 'lib/request/responders/events/client.js',
  rpc: 'lib/request/responders/rpc/client.js',
};
// In the order in which the server gives out their ids.
const RESPONDERS = ['events', 'rpc'];

const SESSION = "exports.setTransportConfig = function () {}; exports.getSessionToken = function () { return 'a token'; };";

class Streaming {
  constructor(port, transports, cookie, version = '0.3') {
    this.root = path.dirname(require.resolve(`socketstream-${version}/package.json`));
    const engine = version === '0.3'
      ? path.join(this.root, 'lib/websocket/transports/engineio/client.js')
      : require.resolve('engine.io-client-3/engine.io.js');
    const host = '127.0.0.1';
    this.complaints = [];
    const browser = {
      document: { location: { protocol: 'http:', hostname: host, port }, getElementsByTagName: () => [] },
      location: { protocol: 'http:', hostname: host, port },
      navigator: { userAgent: 'node' },
      console: { ...console, error: (...words) => this.complaints.push(words.join(' ')) },
      WebSocket: socketWith(cookie),
      XMLHttpRequest: requestWith(cookie),
      ArrayBuffer,
      setTimeout,
      clearTimeout,
      setInterval,
      clearInterval,
    };
    browser.window = browser;
    browser.self = browser;
    this.context = vm.createContext(browser);
    this.modules = {};
    vm.runInContext(fs.readFileSync(engine, 'utf8'), this.context);
    this.ss = this.load('socketstream');
    RESPONDERS.forEach((name, id) => this.load(name)(String(id), {}, this.ss.send(id)));
    this.ready = new Promise((resolve) => { this.ss.server.on('ready', resolve); });
    this.back = new Promise((resolve) => { this.ss.server.on('reconnect', resolve); });
    const sockets = this.context.eio;
    const { Socket } = sockets;
    const keep = (socket) => { this.socket = socket; };
    // The wrapper keeps its connection to itself.
    sockets.Socket = function connect(config) {
      const socket = new Socket(config);
      keep(socket);
      return socket;
    };
    this.ss.assignTransport({ host, port, secure: false, transports });
  }

  load(name) {
    if (!this.modules[name]) {
      const module = { exports: {} };
      this.modules[name] = module;
      const wrapped = vm.runInContext(`(function (require, module, exports) {${this.source(name)}\n})`, this.context);
      wrapped((wanted) => this.load(wanted), module, module.exports);
    }
    return this.modules[name].exports;
  }

  source(name) {
    return name === 'socketstream-session' ? SESSION : fs.readFileSync(path.join(this.root, MODULES[name]), 'utf8');
  }

  connected() {
    return this.ready;
  }

  upgraded() {
    return new Promise((resolve) => { this.socket.on('upgrade', resolve); });
  }

  invoke(action, ...list) {
    return new Promise((resolve) => { this.ss.rpc(action, ...list, (answer) => resolve(plain(answer))); });
  }

  on(event, handler) {
    this.ss.event.on(event, (...list) => handler(...list.map(plain)));
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
    this.socket.removeAllListeners('close');
    this.socket.close();
  }
}

// A browser would send the cookie of its own accord.
function socketWith(cookie) {
  const headers = cookie ? { cookie } : {};
  return function connect(url) {
    return new WebSocket(url, { headers });
  };
}

function requestWith(cookie) {
  return function request() {
    const made = new XMLHttpRequest({});
    made.setDisableHeaderCheck(true);
    const { open } = made;
    made.open = (...list) => {
      open.apply(made, list);
      if (cookie) made.setRequestHeader('cookie', cookie);
    };
    return made;
  };
}

// Of this context, so that comparisons are not about where a value was made.
function plain(value) {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

class LaterStreaming extends Streaming {
  constructor(port, transports, cookie) {
    super(port, transports, cookie, '0.5');
  }
}

module.exports = { LaterStreaming, Streaming };
