// usage: node browse.js CHROMIUM PORT SCREENSHOT_DIRECTORY
//
// Opens the demo page in two tabs that different shards serve and lets them chat. Prints one JSON line for each step, as
// run.js does, and leaves screenshots of both tabs.
'use strict';

const path = require('node:path');
const { assert } = require('./check');
const { SHARD_ATTEMPTS_MAX, Visit, play } = require('./visit');

const STEPS = ['open', 'chat', 'markupStaysText', 'comesBack', 'square', 'beside', 'narrow', 'screenshots', 'noComplaints'];

// Where the demo page's tabs talk.
const CHANNEL = 'demo.chat';

class Chat extends Visit {
  constructor(browser, port, directory) {
    super(browser, port);
    this.directory = directory;
  }

  // A tab with a profile of its own.
  async someone() {
    const page = await this.tab(await this.person());
    await page.waitForFunction(() => /\d/.test(document.querySelector('#shard').textContent));
    return { page, shard: (await page.textContent('#shard')).match(/\d+/)[0] };
  }

  async open() {
    this.ann = await this.someone();
    for (let attempt = 0; attempt < SHARD_ATTEMPTS_MAX; attempt += 1) {
      this.bob = await this.someone();
      if (this.bob.shard !== this.ann.shard) return;
      await this.bob.page.context().close();
    }
    assert.fail(`${SHARD_ATTEMPTS_MAX} tabs in a row were all on shard ${this.ann.shard}`);
  }

  async say(tab, text) {
    await tab.page.fill('#message', text);
    await tab.page.click('#send');
  }

  // The text stands in the log of each tab exactly once.
  async bothShow(text) {
    for (const { page } of [this.ann, this.bob]) {
      await page.waitForFunction((wanted) => document.querySelector('#log').textContent.includes(wanted), text);
      const log = await page.textContent('#log');
      assert.equal(log.split(text).length - 1, 1, `"${text}" is shown once`);
    }
  }

  async chat() {
    await this.ann.page.fill('#name', 'Ann');
    await this.bob.page.fill('#name', 'Bob');
    await this.say(this.ann, 'Hello from the other shard');
    await this.bothShow('Hello from the other shard');
    await this.say(this.bob, 'Hi Ann! Grüße 👋 日本語');
    await this.bothShow('Hi Ann! Grüße 👋 日本語');
    // Enter sends as well as the button does.
    await this.ann.page.fill('#message', 'Which core are you on?');
    await this.ann.page.press('#message', 'Enter');
    await this.bothShow('Which core are you on?');
    const log = await this.ann.page.textContent('#log');
    assert.ok(log.includes('Bob'), 'who spoke is shown');
  }

  async markupStaysText() {
    const markup = '<img src=x onerror="alert(1)"><b id="injected">bold</b>';
    await this.say(this.bob, markup);
    await this.bothShow(markup);
    for (const { page } of [this.ann, this.bob]) {
      assert.equal(await page.locator('#injected').count(), 0, 'a message is never markup');
    }
  }

  // The server drops a tab; it comes back by itself and hears the others again.
  async comesBack() {
    const { page } = this.bob;
    await page.click('#drop');
    await page.waitForFunction(() => document.querySelector('#log').textContent.includes('back on shard'));
    await page.waitForFunction(() => document.querySelector('#status').dataset.state === 'open');
    await this.say(this.ann, 'Welcome back');
    await this.bothShow('Welcome back');
  }

  async square() {
    await this.ann.page.fill('#square', '25');
    await this.ann.page.waitForFunction(() => document.querySelector('#square-result').textContent === '625');
  }

  // A page of the server that has nothing of its own, with socket.io's client put into it, chats with the demo's tabs.
  async beside() {
    const page = await this.tab(await this.person());
    // The browser asks for an icon where a page names none.
    await page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));
    await page.goto(`${this.origin}/healthz`);
    await page.addScriptTag({ path: require.resolve('socket.io-client-4/dist/socket.io.js') });
    await page.evaluate((channel) => new Promise((resolve) => {
      window.heard = [];
      window.socket = window.io();
      window.socket.on(channel, ({ text }) => window.heard.push(text));
      window.socket.emit('subscribe', channel, resolve);
    }), CHANNEL);
    await this.say(this.ann, 'Is anybody on Socket.IO?');
    await this.bothShow('Is anybody on Socket.IO?');
    await page.waitForFunction(() => window.heard.length === 1);
    assert.deepEqual(await page.evaluate(() => window.heard), ['Is anybody on Socket.IO?']);
    await page.evaluate((channel) => {
      window.socket.emit('publish', channel, { tab: 'beside', name: 'Io', text: 'I am', shard: 0 });
    }, CHANNEL);
    await this.bothShow('I am');
    await page.context().close();
  }

  async narrow() {
    await this.bob.page.setViewportSize({ width: 360, height: 640 });
    await this.bob.page.emulateMedia({ colorScheme: 'dark' });
    const overflow = await this.bob.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `a narrow page overflows by ${overflow} px`);
    assert.ok(await this.bob.page.isVisible('#send'), 'the button is within reach');
  }

  async screenshots() {
    await this.ann.page.screenshot({ path: path.join(this.directory, 'chat-wide.png') });
    await this.bob.page.screenshot({ path: path.join(this.directory, 'chat-narrow-dark.png') });
  }

  async noComplaints() {
    assert.deepEqual(this.complaints, []);
  }
}

async function main([executablePath, port, directory]) {
  if (!directory) throw new Error('usage: node browse.js CHROMIUM PORT SCREENSHOT_DIRECTORY');
  await play(executablePath, STEPS, (browser) => new Chat(browser, port, directory));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
