// ws with bufferutil: /echo sends every message back, /fanout sends every message to all. Prints
// "listening on ADDRESS" and serves until it is killed.
'use strict';

require('bufferutil');
const { WebSocketServer, WebSocket } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 4096 });
server.on('listening', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
server.on('connection', (socket, request) => {
  const isFanout = request.url === '/fanout';
  socket.on('message', (data, isBinary) => {
    if (!isFanout) return socket.send(data, { binary: isBinary });
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    }
  });
  // What a connection dies of shows at its other end.
  socket.on('error', () => {});
});
