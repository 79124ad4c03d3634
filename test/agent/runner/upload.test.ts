import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { Upload } from '../../../agent/runner/upload.ts';
import { LIMITS } from '../../../protocol/constants.ts';
import { Failure, type FailureCode } from '../../../protocol/failures.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const MIB = 1024 * 1024;

suite('an upload', () => {
  const folder = temporaryFolder({ after });
  let count = 0;

  function open(limit = 4 * MIB): { upload: Upload; file: string } {
    const file = path.join(folder, String((count += 1)));
    return { upload: new Upload(file, limit), file };
  }

  const isFailure = (code: FailureCode) => (error: unknown) => error instanceof Failure && error.code === code;
  const fails = (code: FailureCode, act: () => unknown): void => {
    assert.throws(act, isFailure(code));
  };

  test('without a byte is an empty stdin', async () => {
    const { upload, file } = open();
    const { size, bytes } = await upload.finish(0);
    assert.deepEqual([size, bytes?.length ?? 0], [0, 0]);
    assert.ok(!existsSync(file));
  });
  test('that is small stays in memory, byte for byte', async () => {
    const { upload, file } = open();
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    for (const byte of all) upload.add(Buffer.from([byte]));
    const { bytes, sha256 } = await upload.finish(256);
    assert.deepEqual(bytes, all);
    assert.equal(sha256, hash('sha256', all));
    assert.ok(!existsSync(file));
  });
  test('that is longer becomes a file which only its owner can read', async () => {
    const { upload, file } = open();
    const half = Buffer.alloc(40_000, 'a');
    upload.add(half);
    upload.add(half);
    const stdin = await upload.finish(80_000);
    assert.equal(stdin.file, file);
    assert.equal(stdin.sha256, hash('sha256', Buffer.concat([half, half])));
    assert.deepEqual(readFileSync(file), Buffer.concat([half, half]));
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });
  test('is cut to its announced size: the rest was padding', async () => {
    const short = open();
    short.upload.add(Buffer.from('abc\0\0\0\0'));
    assert.deepEqual((await short.upload.finish(3)).bytes, Buffer.from('abc'));
    const long = open();
    long.upload.add(Buffer.alloc(MIB, 'x'));
    const { file, sha256 } = await long.upload.finish(100_000);
    assert.equal(file, long.file);
    assert.equal(sha256, hash('sha256', Buffer.alloc(100_000, 'x')));
    assert.equal(statSync(long.file).size, 100_000);
    const empty = open();
    empty.upload.add(Buffer.alloc(MIB));
    assert.equal((await empty.upload.finish(0)).size, 0);
  });
  test('with fewer bytes than announced is refused', async () => {
    const { upload } = open();
    upload.add(Buffer.from('abc'));
    await assert.rejects(upload.finish(4), isFailure('stdin-incomplete'));
  });
  test('may be as long as the limit, and padded beyond it by one message', async () => {
    const { upload } = open(MIB);
    upload.add(Buffer.alloc(MIB));
    upload.add(Buffer.alloc(LIMITS.message));
    fails('stdin-too-large', () => {
      upload.add(Buffer.from('x'));
    });
    const exact = open(MIB);
    exact.upload.add(Buffer.alloc(MIB));
    assert.equal((await exact.upload.finish(MIB)).size, MIB);
    const more = open(MIB);
    more.upload.add(Buffer.alloc(MIB + 1));
    await assert.rejects(more.upload.finish(MIB + 1), isFailure('stdin-too-large'));
  });
  test('of a million empty messages is an empty stdin, and holds no memory', async () => {
    const { upload } = open();
    const before = process.memoryUsage().heapUsed;
    const empty = (): Buffer => Buffer.alloc(0);
    for (let count = 0; count < 1_000_000; count += 1) upload.add(empty());
    assert.ok(process.memoryUsage().heapUsed - before < 100 * MIB);
    assert.equal((await upload.finish(0)).size, 0);
  });
  test('in messages of one byte holds the memory of its bytes, not of its messages', async () => {
    const { upload } = open();
    for (let n = 0; n < 60_000; n += 1) upload.add(Buffer.alloc(1, 'x'));
    assert.ok(upload.pieces < 100, String(upload.pieces));
    assert.deepEqual((await upload.finish(60_000)).bytes, Buffer.alloc(60_000, 'x'));
  });
  test('that is abandoned leaves no file, whenever that is', () => {
    for (const size of [0, 10, MIB]) {
      const { upload, file } = open();
      upload.add(Buffer.alloc(size));
      upload.abandon();
      upload.abandon();
      assert.ok(!existsSync(file));
    }
  });
});
