// usage: node run.js VERSION PORT STEP...
//
// Takes one client generation through the steps in the order given and prints one JSON line for each:
// {"step":"square","ok":true,"ms":3} or {"step":"square","ok":false,"error":"..."}. Stops at the first failure and then
// exits with 1. The caller compares the printed steps with those it asked for, so that none can be left out unseen.
'use strict';

const { People } = require('./people');
const { StreamClient } = require('./stream-client');
const { CallbackClient } = require('./callback-client');

const GENERATIONS = {
  20: { Client: StreamClient, pings: '' },
  16: { Client: StreamClient, pings: '' },
  14: { Client: CallbackClient, pings: '#1' },
  5: { Client: CallbackClient, pings: '#1' },
  2: { Client: CallbackClient, pings: '1' },
};

async function main([version, port, ...steps]) {
  const generation = GENERATIONS[version];
  if (!generation || !port || steps.length === 0) throw new Error('usage: node run.js VERSION PORT STEP...');
  const library = require(`socketcluster-client-${version}`);
  const scenario = new People({
    open: (wallet, wsOptions) => new generation.Client(library, Number(port), wallet, wsOptions),
    pings: generation.pings,
    prefix: `v${version}/${process.pid}`,
    port: Number(port),
  });
  for (const step of steps) {
    const start = Date.now();
    try {
      if (typeof People.prototype[step] !== 'function') throw new Error('there is no such step');
      await scenario[step]();
    } catch (error) {
      console.log(JSON.stringify({ step, ok: false, error: String(error && error.stack ? error.stack : error) }));
      process.exit(1);
    }
    console.log(JSON.stringify({ step, ok: true, ms: Date.now() - start }));
  }
  scenario.closeAll();
  process.exit(0);
}

process.on('unhandledRejection', (error) => {
  console.log(JSON.stringify({ step: 'none', ok: false, error: `unhandled: ${error && error.stack ? error.stack : error}` }));
  process.exit(1);
});

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
