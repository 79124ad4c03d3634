import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { matchesGlob } from '../../../agent/config/glob.ts';

suite('globs', () => {
  const table: [glob: string, yes: string[], no: string[]][] = [
    ['close', ['close'], ['close.py', 'xclose', 'closed', '']],
    ['close-*', ['close-', 'close-ticket', 'close-a.py'], ['close-a/b', 'reclose-a']],
    ['*', ['a', '', 'a.py'], ['a/b']],
    ['**', ['a', 'a/b/c', '', 'a\nb'], []],
    ['checkpoint/**', ['checkpoint/a', 'checkpoint/a/b'], ['checkpoint', 'checkpoints/a']],
    ['**/a', ['x/a', 'x/y/a'], ['a', 'x/ab']],
    ['a?c', ['abc', 'a.c'], ['a/c', 'ac', 'abbc']],
    ['a.c', ['a.c'], ['abc']],
    ['(a|b)+[c]^$\\', ['(a|b)+[c]^$\\'], ['a', 'c']],
  ];
  for (const [glob, yes, no] of table) {
    test(`${glob} matches what it should and nothing else`, () => {
      for (const name of yes) assert.ok(matchesGlob(glob, name), name);
      for (const name of no) assert.ok(!matchesGlob(glob, name), name);
    });
  }
});
