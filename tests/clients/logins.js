// The steps about who a client is: what its users see of tokens, and what the server makes of them. On the reference
// server (`SOCKETSHARD_REFERENCE=1`) the same steps hold, but for what this server promises beyond it.
'use strict';

const { assert, until, within } = require('./check');
const { Scenario } = require('./scenario');
const { Wallet } = require('./wallet');

const IS_REFERENCE = Boolean(process.env.SOCKETSHARD_REFERENCE);

class Logins extends Scenario {
  async who(client) {
    return within('app.who', client.invoke('app.who'));
  }

  async logIn(client, user, seconds) {
    await within('app.login', client.invoke('app.login', { user, seconds }));
    // The promise beyond the reference: who reads the answer has the token already.
    if (!IS_REFERENCE) assert.equal(claims(client).user_id, user, 'the token is there before the answer');
    await until('the token', () => client.wallet.token && claims(client).user_id === user);
  }

  // Logs in, is known, logs out by the server and by itself.
  async login() {
    const client = await this.connectOne();
    assert.equal(client.status.isAuthenticated, false);
    assert.equal(await this.who(client), null);
    if (!IS_REFERENCE) {
      const refusal = await refused(client.invoke('members.greeting'));
      assert.equal(refusal.name, 'UnauthenticatedError');
    }
    await this.logIn(client, 'alice');
    assert.equal(await this.who(client), 'alice');
    assert.equal(await within('members.greeting', client.invoke('members.greeting')), 'hello, alice');
    await within('app.logout', client.invoke('app.logout'));
    if (!IS_REFERENCE) assert.equal(client.wallet.token, null, 'the token is gone before the answer');
    await until('the token is gone', () => client.wallet.token === null);
    assert.equal(await this.who(client), null);
    if (client.canDeauthenticate) {
      await this.logIn(client, 'bob');
      await client.deauthenticate();
      await until('nobody', async () => (await this.who(client)) === null);
      assert.equal(client.wallet.token, null);
    }
    client.close();
  }

  // Another user on the same connection.
  async switchLogin() {
    const client = await this.connectOne();
    await this.logIn(client, 'alice');
    const first = client.wallet.token;
    await this.logIn(client, 'bob');
    assert.equal(await this.who(client), 'bob');
    assert.notEqual(client.wallet.token, first);
    await within('authenticate', client.authenticate(first));
    assert.equal(await this.who(client), 'alice');
    client.close();
  }

  // The token outlives the connection, on whichever shard the next one is.
  async comeBack() {
    const client = await this.connectOne();
    await this.logIn(client, 'alice');
    for (let life = 2; life <= 5; life += 1) {
      client.invoke('app.drop').catch(() => {});
      await until('the client comes back', () => client.connects === life);
      assert.equal(client.status.isAuthenticated, true);
      assert.equal(await this.who(client), 'alice');
    }
    client.close();
  }

  // A channel that waits for a login by itself.
  async waitForAuth() {
    const client = await this.connectOne();
    const channel = `members.${this.prefix}`;
    const received = [];
    client.subscribe(channel, (data) => received.push(data), { waitForAuth: true });
    await this.who(client);
    await this.who(client);
    assert.equal(client.subscribed.get(channel), 0, 'it waits');
    if (!IS_REFERENCE) {
      const stranger = await this.connectOne();
      const refusal = await stranger.refusal(`${channel}.refused`);
      assert.equal(refusal.name, 'UnauthenticatedError');
      stranger.close();
    }
    await this.logIn(client, 'alice');
    await until('the subscription', () => client.subscribed.get(channel) === 1);
    await within('ack', client.publish(channel, 'for members'));
    await until('the publication', () => received.length === 1);
    client.close();
  }

  // A token ends while its connection goes on: the next heartbeat takes it away, whether the client speaks or not.
  async expire() {
    const client = await this.connectOne();
    await this.logIn(client, 'alice', 2);
    assert.equal(await this.who(client), 'alice');
    await until('the server takes the token away', () => client.wallet.token === null);
    assert.equal(await this.who(client), null);
    assert.deepEqual(client.disconnects, []);
    client.close();
  }

  // What the client's user sees of a token that is not good, on an open connection.
  async badToken() {
    for (const [token, message] of [['abc.def.ghi', 'invalid token'], ['abc', 'jwt malformed']]) {
      const client = await this.connectOne();
      await this.logIn(client, 'alice');
      const error = await within('authenticate', client.authenticationError(token));
      assert.equal(error.message, message);
      if (client.canDeauthenticate) assert.equal(error.name, 'AuthTokenInvalidError');
      if (client.canDeauthenticate) await until('the bad token is dropped', () => client.wallet.token === null);
      if (!IS_REFERENCE) assert.equal(await this.who(client), null, 'whoever it was before');
      assert.deepEqual(client.disconnects, []);
      client.close();
    }
  }

  // A token that is not good comes with the handshake: the connection opens, the user is told, the token is dropped.
  async badTokenAtHandshake() {
    const client = await this.connectOne(new Wallet('not-a-jwt'));
    assert.equal(client.status.isAuthenticated, false);
    assert.equal(client.status.authError.message, 'jwt malformed');
    if (client.canDeauthenticate) {
      assert.equal(client.status.authError.name, 'AuthTokenInvalidError');
      await until('the bad token is dropped', () => client.wallet.token === null);
    }
    assert.equal(await this.who(client), null);
    await this.logIn(client, 'alice');
    assert.equal(await this.who(client), 'alice');
    client.close();
  }

  // A login by a named module.
  async modules() {
    const client = await this.connectOne();
    const login = (module, params) => within('auth.login', client.invoke('auth.login', { module, params }));
    assert.deepEqual(await login('guest', { name: '' }), { success: false, info: 'a guest has a name' });
    assert.equal(client.wallet.token, null);
    assert.deepEqual(await login('guest', { name: 'carol' }), { success: true, user_id: 'carol' });
    assert.equal(claims(client).module, 'guest');
    assert.equal(await this.who(client), 'carol');
    assert.equal((await refused(client.invoke('auth.login', { module: 'nowhere' }))).name, 'NotFoundError');
    await within('auth.logout', client.invoke('auth.logout'));
    assert.equal(client.wallet.token, null);
    client.close();
  }
}

// What a client's token says, as clients read it: without a key.
function claims(client) {
  assert.ok(client.wallet.token, 'there is a token');
  return JSON.parse(Buffer.from(client.wallet.token.split('.')[1], 'base64url').toString());
}

async function refused(promise) {
  try {
    await within('a refusal', promise);
  } catch (error) {
    return error;
  }
  return assert.fail('it was not refused');
}

module.exports = { Logins };
