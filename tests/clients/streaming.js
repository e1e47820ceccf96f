// One connection through SocketStream's own client of version 0.3, which is made for browsers: its modules are run in a
// context of their own, with the little of a window that they use. A call that fails only writes to the console there.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const WebSocket = require('ws');
const { XMLHttpRequest } = require('xmlhttprequest-ssl');

const ROOT = path.dirname(require.resolve('socketstream-0.3/package.json'));
const MODULES = {
  eventemitter2: 'lib/client/system/modules/eventemitter2.js',
  socketstream: 'lib/client/system/modules/socketstream.js',
  'socketstream-transport': 'lib/websocket/transports/engineio/wrapper.js',
  events: 'lib/request/responders/events/client.js',
  rpc: 'lib/request/responders/rpc/client.js',
};
// In the order in which the server gives out their ids.
const RESPONDERS = ['events', 'rpc'];

class Streaming {
  constructor(port, transports, cookie) {
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
    vm.runInContext(source('lib/websocket/transports/engineio/client.js'), this.context);
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
      const wrapped = vm.runInContext(`(function (require, module, exports) {${source(MODULES[name])}\n})`, this.context);
      wrapped((wanted) => this.load(wanted), module, module.exports);
    }
    return this.modules[name].exports;
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

function source(file) {
  return fs.readFileSync(path.join(ROOT, file), 'utf8');
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

module.exports = { Streaming };
