// socket.io with bufferutil, WebSocket only: the event `echo` is answered with its argument, the event `message` goes
// to everybody. Prints "listening on ADDRESS" and serves until it is killed.
'use strict';

require('bufferutil');
const http = require('http');
const { Server } = require('socket.io');

const listener = http.createServer();
const server = new Server(listener, { transports: ['websocket'], perMessageDeflate: false, serveClient: false });
server.on('connection', (socket) => {
  socket.on('echo', (data, answer) => answer(data));
  socket.on('message', (data) => server.emit('message', data));
});
listener.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening on 127.0.0.1:${listener.address().port}`);
});
