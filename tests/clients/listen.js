// usage: node listen.js CHROMIUM PORT
//
// The browser's own EventSource on the demo page's origin. Prints one JSON line for each step, as run.js does.
'use strict';

const { assert } = require('./check');
const { Visit, play } = require('./visit');

const STEPS = ['open', 'publications', 'namedEvents', 'refusal', 'comesBack', 'noComplaints'];
const COUNT = 100;

class Listener extends Visit {
  async open() {
    this.page = await this.tab(await this.person());
    await this.page.evaluate(() => new Promise((resolve, reject) => {
      window.heard = [];
      window.opens = 0;
      window.source = new EventSource('/sse?channel=room.1&channel=a%2Cb');
      source.onopen = () => { window.opens += 1; resolve(); };
      source.onerror = () => reject(new Error('the stream was refused'));
      source.onmessage = (event) => heard.push(JSON.parse(event.data));
      source.addEventListener('numbered', (event) => heard.push(JSON.parse(event.data)));
      source.addEventListener('#disconnect', (event) => { window.farewell = JSON.parse(event.data); });
    }));
  }

  // Another tab of the same page publishes by WebSocket.
  async publications() {
    const other = await this.tab(await this.person());
    await other.waitForFunction(() => document.querySelector('#status').dataset.state === 'open');
    const [heard] = await Promise.all([
      this.until(COUNT),
      other.evaluate(async (count) => {
        const { SocketShard } = await import('/socketshard.js');
        const socket = new SocketShard();
        for (let number = 0; number < count; number += 1) await socket.publish('room.1', number);
      }, COUNT),
    ]);
    assert.deepEqual(heard, Array.from({ length: COUNT }, (_, data) => ({ channel: 'room.1', data })));
  }

  async namedEvents() {
    const heard = this.until(COUNT);
    for (let data = 0; data < COUNT; data += 1) await this.call('publish/broadcast', { event: 'numbered', data });
    assert.deepEqual(await heard, Array.from({ length: COUNT }, (_, number) => number));
  }

  async refusal() {
    const state = await this.page.evaluate(() => new Promise((resolve) => {
      const refused = new EventSource('/sse?channel=members.1');
      refused.onerror = () => resolve(refused.readyState);
    }));
    assert.equal(state, 2, 'a browser does not ask again where it was refused');
    // The browser itself complains of the 401.
    this.complaints = this.complaints.filter((line) => !line.includes('401'));
  }

  // The server ends the stream; the browser asks for another by itself, and hears on.
  async comesBack() {
    await this.call('publish/broadcast', { event: 'before' });
    await this.page.evaluate(() => { source.onerror = null; });
    await this.call('session/end', null);
    await this.page.waitForFunction(() => window.opens === 2 && window.farewell?.code === 4401);
    const heard = this.until(1);
    await this.call('publish/broadcast', { event: 'numbered', data: 7 });
    assert.deepEqual(await heard, [7]);
  }

  async noComplaints() {
    assert.deepEqual(this.complaints, []);
  }

  // Waits for so many events, and takes them.
  async until(count) {
    await this.page.waitForFunction((wanted) => window.heard.length >= wanted, count);
    return this.page.evaluate(() => window.heard.splice(0));
  }

  async call(path, argument) {
    const status = await this.page.evaluate(async ([target, body]) => {
      const answer = await fetch(`/api/${target}`, { method: 'POST', body: JSON.stringify(body) });
      return answer.status;
    }, [path, argument]);
    assert.equal(status, 200, path);
  }
}

async function main([executablePath, port]) {
  if (!port) throw new Error('usage: node listen.js CHROMIUM PORT');
  await play(executablePath, STEPS, (browser) => new Listener(browser, port));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
