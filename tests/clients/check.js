// What every step of a scenario is made of: waits that end, and comparisons that say what differed.
'use strict';

const assert = require('node:assert/strict');

// Longer than any healthy step takes on a loaded 2-core machine; shorter than the Rust side's patience with this process.
const STEP_MS_MAX = 30_000;

class Deadline extends Error {}

// Resolves once `condition` holds; rejects with `what` when it does not within `limitMs`.
async function until(what, condition, limitMs = STEP_MS_MAX) {
  const end = Date.now() + limitMs;
  for (;;) {
    if (await condition()) return;
    if (Date.now() > end) throw new Deadline(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

// The promise's value, or an error that names what never came.
function within(what, promise, limitMs = STEP_MS_MAX) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Deadline(`waited ${limitMs} ms in vain: ${what}`)), limitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// `assert.deepEqual` prints both values whole; a 100 KB payload needs the first difference only.
function sameText(actual, expected, what) {
  if (actual === expected) return;
  assert.equal(typeof actual, 'string', `${what}: a string comes back`);
  let index = 0;
  while (index < expected.length && actual[index] === expected[index]) index += 1;
  assert.fail(`${what}: ${actual.length} units instead of ${expected.length}, first difference at ${index}`);
}

module.exports = { assert, until, within, sameText, STEP_MS_MAX };
