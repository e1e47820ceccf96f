// usage: node libraries.js CHROMIUM PORT SCREENSHOT_DIRECTORY
//
// The pages of the example `clients`, one for each library, each as a person of its own: everybody says something, and
// everybody hears everybody. Prints one JSON line for each step, as run.js does, and leaves a screenshot of them side by side.
'use strict';

const path = require('node:path');
const { assert } = require('./check');
const { Visit, play } = require('./visit');

const STEPS = ['open', 'everybodyHearsEverybody', 'whatIsTooLongIsRefused', 'sideBySide', 'noComplaints'];

const PAGES = {
  SocketCluster: 'socketcluster.html',
  'Socket.IO 4': 'socket.io-4.html',
  'Socket.IO 3': 'socket.io-3.html',
  'Socket.IO 2': 'socket.io-2.html',
  SocketStream: 'socketstream.html',
  EventSource: 'eventsource.html',
  WebSocket: 'websocket.html',
  SocketShard: 'socketshard.html',
};

const isOpen = () => document.querySelector('#state')?.hasAttribute('data-open');
const heard = () => Array.from(document.querySelectorAll('#log li'), (line) => line.textContent).sort();

class Libraries extends Visit {
  constructor(browser, port, directory) {
    super(browser, port);
    this.directory = directory;
  }

  async open() {
    this.tabs = {};
    await Promise.all(Object.entries(PAGES).map(async ([library, page]) => {
      const tab = await this.tab(await this.person(), page);
      await tab.waitForFunction(isOpen);
      assert.equal(await tab.textContent('h1'), library);
      this.tabs[library] = tab;
    }));
  }

  async everybodyHearsEverybody() {
    const said = Object.keys(this.tabs).map((library) => [library, `hello <b>from</b> ${library} 👋`]);
    await Promise.all(said.map(([library, text]) => Libraries.say(this.tabs[library], text)));
    const wanted = said.map(([library, text]) => `${library}${text}`).sort();
    for (const [library, tab] of Object.entries(this.tabs)) {
      await tab.waitForFunction((count) => document.querySelectorAll('#log li').length >= count, said.length);
      assert.deepEqual(await tab.evaluate(heard), wanted, `${library} hears everybody once`);
    }
  }

  // By the application's hook, whatever the library is.
  async whatIsTooLongIsRefused() {
    const before = Object.keys(this.tabs).length;
    for (const library of ['WebSocket', 'Socket.IO 4']) {
      await this.tabs[library].evaluate(() => document.querySelector('#text').removeAttribute('maxlength'));
      await Libraries.say(this.tabs[library], 'x'.repeat(2_001));
      await Libraries.say(this.tabs[library], 'short');
    }
    await this.tabs.EventSource.waitForFunction((count) => document.querySelectorAll('#log li').length >= count, before + 2);
    const after = await this.tabs.EventSource.evaluate(heard);
    assert.deepEqual(after.filter((line) => line.endsWith('short')), ['Socket.IO 4short', 'WebSocketshort']);
    assert.equal(after.length, before + 2, 'the long ones were heard by nobody');
  }

  async sideBySide() {
    const page = await this.tab(await this.person());
    await page.setViewportSize({ width: 1440, height: 900 });
    const frames = page.frames().filter((frame) => frame !== page.mainFrame());
    assert.equal(frames.length, Object.keys(PAGES).length);
    for (const frame of frames) await frame.waitForFunction(isOpen);
    await Libraries.say(this.tabs.SocketStream, 'Is that everybody?');
    for (const frame of frames) await Libraries.say(frame, 'I am here.');
    for (const frame of frames) {
      await frame.waitForFunction((count) => document.querySelectorAll('#log li').length >= count, frames.length + 1);
    }
    await page.screenshot({ path: path.join(this.directory, 'clients.png') });
  }

  async noComplaints() {
    assert.deepEqual(this.complaints, []);
  }

  static async say(tab, text) {
    await tab.fill('#text', text);
    await tab.click('#send');
  }
}

async function main([executablePath, port, directory]) {
  if (!directory) throw new Error('usage: node libraries.js CHROMIUM PORT SCREENSHOT_DIRECTORY');
  await play(executablePath, STEPS, (browser) => new Libraries(browser, port, directory));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
