// socketcluster-server in one process with bufferutil: the procedure `app.echo` gives its argument back, channels are
// its own. Prints "listening on ADDRESS" and serves until it is killed.
'use strict';

require('bufferutil');
const http = require('http');
const socketClusterServer = require('socketcluster-server');

const listener = http.createServer();
const server = socketClusterServer.attach(listener, { path: '/socketcluster/' });

// What goes wrong shows at the generator.
(async () => { for await (const _ of server.listener('error')); })();
(async () => { for await (const _ of server.listener('warning')); })();
(async () => {
  for await (const { socket } of server.listener('connection')) {
    (async () => { for await (const request of socket.procedure('app.echo')) request.end(request.data); })();
  }
})();
listener.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening on 127.0.0.1:${listener.address().port}`);
});
