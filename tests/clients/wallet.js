// Where a client keeps its token: in sight of the tests. It answers in both ways that the generations ask in, by callback
// and by promise.
'use strict';

class Wallet {
  constructor(token = null) {
    this.token = token;
  }

  saveToken(name, token, options, done) {
    this.token = token;
    if (done) done(null, token);
    return Promise.resolve(token);
  }

  removeToken(name, done) {
    const { token } = this;
    this.token = null;
    if (done) done(null, token);
    return Promise.resolve(token);
  }

  loadToken(name, done) {
    if (done) done(null, this.token);
    return Promise.resolve(this.token);
  }
}

module.exports = { Wallet };
