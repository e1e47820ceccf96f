// The steps about people: a session's tabs, users' events, rooms and private channels, as the clients' users see them. For
// clients of streams only: events come from their receivers.
'use strict';

const { assert, until, within } = require('./check');
const { Logins } = require('./logins');

const TABS = 100;

class People extends Logins {
  // A session's cookie, as the first page gives it.
  async cookie() {
    const response = await fetch(`http://127.0.0.1:${this.port}/`);
    return response.headers.get('set-cookie').split(';')[0];
  }

  async tab(cookie) {
    const tab = this.open(undefined, { headers: { Cookie: cookie } });
    this.clients.push(tab);
    await until('the tab connects', () => tab.connects === 1);
    return tab;
  }

  // Every tab of a browser has what its session is told, once, on whichever shard it is.
  async hundredTabs() {
    const cookie = await this.cookie();
    const tabs = [];
    for (let number = 0; number < TABS; number += 1) tabs.push(await this.tab(cookie));
    const shards = new Set(await Promise.all(tabs.map((tab) => tab.invoke('app.shard'))));
    assert.equal(shards.size, 2, 'they are on both shards');
    const heard = tabs.map((tab) => tab.events('news'));
    for (let number = 0; number < 10; number += 1) {
      await within('publish.session', tabs[number].invoke('publish.session', { event: 'news', data: number }));
    }
    await until('all have all', () => heard.every((events) => events.length === 10));
    // Each once. In order is only what one publisher says, and these are ten on two shards.
    for (const events of heard) assert.deepEqual(events.sort(), [...Array(10).keys()]);
    for (const tab of tabs) tab.close();
  }

  // A user hears on all connections, a stranger on none; who left is offline.
  async userEvents() {
    const [phone, laptop, stranger] = [await this.connectOne(), await this.connectOne(), await this.connectOne()];
    const user = `${this.prefix}/alice`;
    for (const client of [phone, laptop]) await this.logIn(client, user);
    const heard = [phone, laptop, stranger].map((client) => client.events('greeting'));
    await within('publish.user', stranger.invoke('publish.user', { to: user, event: 'greeting', data: 'hello' }));
    await until('both hear it', () => heard[0].length === 1 && heard[1].length === 1);
    await within('an answer', stranger.invoke('app.echo', 1));
    assert.equal(heard[2].length, 0);
    await until('the user is online', () => stranger.invoke('users.is_online', user));
    phone.close();
    assert.equal(await within('users.is_online', stranger.invoke('users.is_online', user)), true);
    laptop.close();
    await until('the user is offline', async () => !(await stranger.invoke('users.is_online', user)));
    stranger.close();
  }

  // A room shows who is in it, and the connection that is lost leaves it.
  async rooms() {
    const [watch, alice] = [await this.connectOne(), await this.connectOne()];
    const channel = `room.${this.prefix}`;
    const user = `${this.prefix}/alice`;
    const seen = watch.events('presence');
    await this.subscribe(watch, channel, () => {});
    await this.logIn(alice, user);
    await this.subscribe(alice, channel, () => {});
    await until('the join', () => seen.length === 1);
    assert.deepEqual(seen[0], { channel, event: 'join', user });
    assert.deepEqual((await within('room.members', watch.invoke('room.members', channel))).users, [user]);
    alice.close();
    await until('the leave', () => seen.length === 2);
    assert.deepEqual(seen[1], { channel, event: 'leave', user });
    watch.close();
  }

  // The server subscribes a session's tabs; a tab that asks itself is let in though the hook would refuse, and hears
  // publications again after it has lost its connection.
  async privateChannels() {
    const cookie = await this.cookie();
    const [tab, other, stranger] = [await this.tab(cookie), await this.tab(cookie), await this.connectOne()];
    const channel = `members.${this.prefix}`;
    assert.equal((await stranger.refusal(channel)).name, 'UnauthenticatedError');
    await within('session.subscribe', tab.invoke('session.subscribe', channel));
    const heard = [];
    await this.subscribe(other, channel, (data) => heard.push(data));
    await within('publish', stranger.publish(channel, 1));
    await until('the publication', () => heard.length === 1);
    other.invoke('app.drop').catch(() => {});
    await until('the tab comes back', () => other.subscribed.get(channel) === 2);
    await within('publish', stranger.publish(channel, 2));
    await until('the publication', () => heard.length === 2);
    for (const client of [tab, other, stranger]) client.close();
  }
}

module.exports = { People };
