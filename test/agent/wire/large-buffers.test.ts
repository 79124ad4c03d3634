import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHUNK, LARGE, giveBuffer, takeBuffer } from '../../../agent/wire/large-buffers.ts';

const FULL = CHUNK + 1;

test('a large buffer that is given back is the next one', () => {
  const first = takeBuffer(FULL);
  giveBuffer(first);
  const next = takeBuffer(CHUNK);
  assert.equal(next.buffer, first.buffer);
  assert.equal(next.length, CHUNK);
});

test('no buffer is handed out twice, not even one that was given back twice', () => {
  const first = takeBuffer(FULL);
  giveBuffer(first);
  giveBuffer(first);
  assert.notEqual(takeBuffer(FULL).buffer, takeBuffer(FULL).buffer);
});

test('a buffer that came from elsewhere is not handed out', () => {
  const strange = Buffer.allocUnsafeSlow(FULL);
  giveBuffer(strange);
  assert.notEqual(takeBuffer(FULL).buffer, strange.buffer);
});

test('a short message does not hold a large buffer', () => {
  assert.equal(takeBuffer(64 * 1024).buffer.byteLength, 64 * 1024);
});

test('what was given back is kept up to a bound', () => {
  const many = Array.from({ length: 100 }, () => takeBuffer(FULL));
  for (const buffer of many) giveBuffer(buffer);
  const again = new Set(Array.from({ length: 100 }, () => takeBuffer(FULL).buffer));
  assert.ok(many.filter(({ buffer }) => again.has(buffer)).length <= 8);
});

test('a message of either length is held by a buffer of about its length', () => {
  for (const size of [CHUNK + 1, LARGE + 1]) {
    giveBuffer(takeBuffer(size));
    assert.equal(takeBuffer(size).buffer.byteLength, size);
    assert.equal(takeBuffer(size - 1000).buffer.byteLength, size);
  }
  assert.equal(takeBuffer(CHUNK + 2).buffer.byteLength, CHUNK + 2);
});
