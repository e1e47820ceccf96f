// What the scripts that open pages in a headless browser have in common: the browser, tabs whose complaints are kept, and
// the reports of steps, one JSON line for each, as run.js prints them.
'use strict';

const { chromium } = require('playwright-core');

const WAIT_MS_MAX = 20_000;
// Two shards take a tab with equal chance: 64 misses in a row are a bug, not bad luck.
const SHARD_ATTEMPTS_MAX = 64;
// Nothing of the browser's own may reach for the network, and a container has no sandbox to offer.
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--no-proxy-server',
];

class Visit {
  constructor(browser, port) {
    this.browser = browser;
    this.origin = `http://127.0.0.1:${port}`;
    this.complaints = [];
  }

  // A profile of its own, as a second person would have.
  async person() {
    return this.browser.newContext({ viewport: { width: 900, height: 700 } });
  }

  // A tab of that person, on the server's first page or on another.
  async tab(person, path = '') {
    const page = await person.newPage();
    page.setDefaultTimeout(WAIT_MS_MAX);
    page.on('pageerror', (error) => this.complaints.push(`error: ${error.message}`));
    page.on('console', (line) => { if (line.type() === 'error') this.complaints.push(`console: ${line.text()}`); });
    page.on('dialog', (dialog) => { this.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(this.origin) && !url.startsWith('data:')) this.complaints.push(`foreign request: ${url}`);
    });
    await page.goto(`${this.origin}/${path}`);
    return page;
  }
}

// Visits with a browser of its own, step by step until one fails, and ends the process: 0 when all passed.
async function play(executablePath, steps, visitWith) {
  const browser = await chromium.launch({ executablePath, args: FLAGS, headless: true, timeout: 60_000 });
  const visit = visitWith(browser);
  let code = 0;
  for (const step of steps) {
    const start = Date.now();
    try {
      await visit[step]();
      console.log(JSON.stringify({ step, ok: true, ms: Date.now() - start }));
    } catch (error) {
      const seen = visit.complaints.join('\n');
      console.log(JSON.stringify({ step, ok: false, error: `${error.stack}\n${seen}` }));
      code = 1;
      break;
    }
  }
  await browser.close();
  process.exit(code);
}

module.exports = { SHARD_ATTEMPTS_MAX, Visit, play };
