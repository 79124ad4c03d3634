import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import { OrderFile, Turns, isOrderOf, namedIn, orderSizeAtMost } from '../../../agent/keeper/order-file.ts';
import type { Stream } from '../../../protocol/records.ts';
import { newFolder } from '../../helpers/folder.ts';

type Piece = [Stream, number];

suite('the order of a run', () => {
  const root = newFolder();
  after(() => {
    rmSync(root, { recursive: true });
  });
  let count = 0;

  function written(pieces: readonly Piece[]): { folder: string; lengths: Record<Stream, number> } {
    const folder = path.join(root, String((count += 1)));
    mkdirSync(folder);
    const order = new OrderFile(folder);
    const lengths = { stdout: 0, stderr: 0 };
    for (const [stream, length] of pieces) {
      order.note(stream, length);
      lengths[stream] += length;
    }
    order.close();
    return { folder, lengths };
  }

  /** Everything that a reader shows, from a place on. */
  function shown(folder: string, lengths: Record<Stream, number>, from = { stdout: 0, stderr: 0 }): Piece[] {
    const turns = new Turns(folder);
    const position = { ...from };
    const pieces: Piece[] = [];
    for (let turn = turns.next(position, lengths, true); turn !== undefined; turn = turns.next(position, lengths, true)) {
      const last = pieces.at(-1);
      const length = turn.end - position[turn.stream];
      if (last?.[0] === turn.stream) last[1] += length;
      else pieces.push([turn.stream, length]);
      position[turn.stream] = turn.end;
    }
    assert.deepEqual(position, lengths);
    return pieces;
  }

  test('is kept as it was written', () => {
    const pieces: Piece[] = [
      ['stderr', 3],
      ['stdout', 70_000],
      ['stderr', 1],
      ['stdout', 2],
    ];
    const { folder, lengths } = written(pieces);
    assert.deepEqual(shown(folder, lengths), pieces);
    assert.deepEqual(shown(folder, lengths, { stdout: 69_999, stderr: 3 }), [
      ['stdout', 1],
      ['stderr', 1],
      ['stdout', 2],
    ]);
  });
  test('takes no file where one stream alone was printed to; without one, stdout comes first', () => {
    for (const stream of ['stdout', 'stderr'] as const) {
      const { folder } = written([
        [stream, 5],
        [stream, 6],
      ]);
      assert.ok(!existsSync(path.join(folder, 'order')));
      assert.equal(orderSizeAtMost({ stdout: 0, stderr: 0, [stream]: 11 }), 0);
      assert.deepEqual(shown(folder, { stdout: 4, stderr: 2 }), [
        ['stdout', 4],
        ['stderr', 2],
      ]);
    }
  });
  test('fits what was kept, although the disk was full when it came to the other stream', () => {
    for (const [first, other] of [
      ['stdout', 'stderr'],
      ['stderr', 'stdout'],
    ] as const) {
      const { folder } = written([
        [first, 5],
        [other, 1],
      ]);
      assert.ok(isOrderOf(namedIn(folder), { stdout: 0, stderr: 0, [first]: 5 }));
      assert.ok(!isOrderOf(namedIn(folder), { stdout: 0, stderr: 0, [first]: 4 }));
      assert.ok(!isOrderOf({ ...namedIn(folder), size: 8 }, { stdout: 0, stderr: 0, [first]: 5 }));
    }
  });
  test('of streams that alternate byte by byte has a bound, and loses no byte', () => {
    const { folder, lengths } = written(Array.from({ length: 200_000 }, (_, index): Piece => [index % 2 === 0 ? 'stdout' : 'stderr', 1]));
    const { size } = statSync(path.join(folder, 'order'));
    assert.ok(size <= orderSizeAtMost(lengths) && size < 4096 + 200_000 / 8 + 1, String(size));
    assert.deepEqual(shown(folder, lengths).slice(0, 3), [
      ['stdout', 1],
      ['stderr', 1],
      ['stdout', 1],
    ]);
  });
  test('is what it was, whatever the pieces were, within its bound', () => {
    const piece = fc.tuple(fc.constantFrom<Stream>('stdout', 'stderr'), fc.oneof(fc.nat(3), fc.nat(100_000), fc.constant(2 ** 31 + 5)));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const { folder, lengths } = written(pieces);
        const joined: Piece[] = [];
        for (const [stream, length] of pieces.filter(([, length]) => length > 0)) {
          const last = joined.at(-1);
          if (last?.[0] === stream) last[1] += length;
          else joined.push([stream, length]);
        }
        assert.deepEqual(shown(folder, lengths), joined);
        assert.ok(namedIn(folder).size <= orderSizeAtMost(lengths));
      }),
    );
  });
  test('is waited for: what comes next may be held back, and nothing overtakes it until the run has ended', () => {
    const { folder } = written([
      ['stdout', 4],
      ['stderr', 2],
    ]);
    const turns = new Turns(folder);
    assert.deepEqual(turns.next({ stdout: 0, stderr: 0 }, { stdout: 3, stderr: 2 }, false), { stream: 'stdout', end: 3 });
    assert.equal(turns.next({ stdout: 3, stderr: 0 }, { stdout: 3, stderr: 2 }, false), undefined);
    assert.deepEqual(turns.next({ stdout: 3, stderr: 0 }, { stdout: 3, stderr: 2 }, true), { stream: 'stderr', end: 2 });
  });
});
