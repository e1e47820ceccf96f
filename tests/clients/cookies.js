// usage: node cookies.js CHROMIUM PORT
//
// Two tabs of one browser, served by different shards, and what its session cookie does: who may read it, who gets it,
// what a login, a reload and a logout make of it. Prints one JSON line for each step, as run.js does.
'use strict';

const { assert, until } = require('./check');
const { SHARD_ATTEMPTS_MAX, Visit, play } = require('./visit');

const STEPS = ['hidden', 'shared', 'login', 'oldCookie', 'reload', 'otherSites', 'logout', 'noComplaints'];

class Cookies extends Visit {
  constructor(browser, port) {
    super(browser, port);
    this.port = port;
  }

  // The tab gets a connection of the page's own client, besides the page's.
  async connect(page) {
    await page.evaluate(async () => {
      const { SocketShard } = await import('/socketshard.js');
      globalThis.socket = new SocketShard();
    });
    return page;
  }

  async call(page, action, data) {
    return page.evaluate(([name, argument]) => globalThis.socket.invoke(name, argument), [action, data]);
  }

  // The one session cookie of a person.
  async cookie(person = this.ann) {
    const cookies = await person.cookies(this.origin);
    assert.deepEqual(cookies.map((cookie) => cookie.name), ['session']);
    return cookies[0];
  }

  // Fetches the cookie that a ticket is good for, as a page does after a login.
  async renew(page, ticket) {
    const fetching = (text) => fetch('/session', { headers: { 'Session-Ticket': text } }).then((reply) => reply.status);
    assert.equal(await page.evaluate(fetching, ticket), 204);
  }

  // Scripts neither see the cookie nor replace it, and it is not for other sites.
  async hidden() {
    this.ann = await this.person();
    this.near = await this.connect(await this.tab(this.ann));
    const { httpOnly, sameSite, path, domain, value } = await this.cookie();
    assert.deepEqual({ httpOnly, sameSite, path, domain }, { httpOnly: true, sameSite: 'Lax', path: '/', domain: '127.0.0.1' });
    assert.ok(value.length >= 64, `an id and what signs it: ${value}`);
    const seen = await this.near.evaluate(() => {
      document.cookie = 'session=forged; path=/';
      return document.cookie;
    });
    assert.equal(seen, '');
    assert.equal((await this.cookie()).value, value);
  }

  // A second tab, on the other shard, has the same session; another browser has not.
  async shared() {
    const { value } = await this.cookie();
    const shard = await this.call(this.near, 'app.shard');
    for (let attempt = 0; ; attempt += 1) {
      assert.ok(attempt < SHARD_ATTEMPTS_MAX, `${attempt} tabs in a row were all on shard ${shard}`);
      this.far = await this.connect(await this.tab(this.ann));
      if ((await this.call(this.far, 'app.shard')) !== shard) break;
      await this.far.close();
    }
    assert.equal((await this.cookie()).value, value, 'the second tab brought the cookie of the first');
    await this.call(this.near, 'session.set', ['theme', 'dark']);
    assert.deepEqual(await this.call(this.far, 'session.all'), { theme: 'dark' });
    await this.call(this.far, 'session.set', ['theme', 'light']);
    assert.deepEqual(await this.call(this.near, 'session.all'), { theme: 'light' });
    const stranger = await this.connect(await this.tab(await this.person()));
    assert.deepEqual(await this.call(stranger, 'session.all'), {});
    await stranger.context().close();
  }

  async expectUser(user) {
    for (const page of [this.near, this.far]) {
      await until(`${user} in every tab`, async () => (await this.call(page, 'users.me')) === user);
    }
  }

  // A login is every tab's at once, and the cookie changes with it.
  async login() {
    this.old = await this.cookie();
    await this.expectUser(null);
    const ticket = await this.call(this.near, 'session.login', 'ann');
    await this.expectUser('ann');
    assert.equal((await this.cookie()).value, this.old.value, 'a WebSocket cannot set a cookie');
    await this.renew(this.near, ticket);
    const { httpOnly, sameSite, value } = await this.cookie();
    assert.notEqual(value, this.old.value);
    assert.deepEqual({ httpOnly, sameSite }, { httpOnly: true, sameSite: 'Lax' });
  }

  // Who kept the cookie from before the login has nothing by it.
  async oldCookie() {
    const thief = await this.person();
    await thief.addCookies([this.old]);
    const page = await this.connect(await this.tab(thief));
    assert.equal(await this.call(page, 'users.me'), null);
    assert.deepEqual(await this.call(page, 'session.all'), {});
    assert.notEqual((await this.cookie(thief)).value, this.old.value, 'it was replaced');
    await thief.close();
  }

  async reloadBoth() {
    for (const page of [this.near, this.far]) {
      await page.reload();
      await this.connect(page);
    }
  }

  // The session is the browser's, not the page's.
  async reload() {
    const { value } = await this.cookie();
    await this.reloadBoth();
    await this.expectUser('ann');
    assert.deepEqual(await this.call(this.far, 'session.all'), { theme: 'light' });
    assert.equal((await this.cookie()).value, value);
  }

  // A page of another site can neither use the cookie nor have it replaced; a link from there can be followed.
  async otherSites() {
    const { value } = await this.cookie();
    const page = await this.ann.newPage();
    const cookieOf = async (url, act) => {
      const [request] = await Promise.all([page.waitForRequest(url), act()]);
      const response = await request.response();
      assert.equal(response.status(), 200);
      return (await request.allHeaders()).cookie;
    };
    await page.goto(`http://localhost:${this.port}/healthz`);
    const target = `${this.origin}/healthz`;
    const fetching = (url) => fetch(url, { mode: 'no-cors', credentials: 'include' }).then(() => null);
    assert.equal(await cookieOf(target, () => page.evaluate(fetching, target)), undefined);
    assert.equal((await this.cookie()).value, value);
    const following = (url) => { globalThis.location.href = url; };
    assert.equal(await cookieOf(target, () => page.evaluate(following, target)), `session=${value}`);
    await page.close();
  }

  // A logout in one tab is one in all, and stays one.
  async logout() {
    const { value } = await this.cookie();
    const ticket = await this.call(this.far, 'session.logout');
    await this.expectUser(null);
    await this.renew(this.far, ticket);
    assert.notEqual((await this.cookie()).value, value);
    await this.reloadBoth();
    await this.expectUser(null);
  }

  async noComplaints() {
    assert.deepEqual(this.complaints, []);
  }
}

async function main([executablePath, port]) {
  if (!port) throw new Error('usage: node cookies.js CHROMIUM PORT');
  await play(executablePath, STEPS, (browser) => new Cookies(browser, port));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
