/** What people see of texts that came from outside. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatTable, printable } from '../../../agent/cli/terminal.ts';

suite('what the command line prints of texts from outside', () => {
  test('spells out what moves the cursor or colours the screen', () => {
    assert.equal(printable('a\u001b[31m\u009b\n'), 'a\\x1b[31m\\x9b\\x0a');
  });

  test('spells out what reorders a line, or stands in it unseen', () => {
    assert.equal(printable('CL\u202eOSE\u200b\u2066\u2028\ufeff'), 'CL\\u202eOSE\\u200b\\u2066\\u2028\\ufeff');
    assert.equal(formatTable(['EVENT'], [['\u202e0 detixe']]), 'EVENT\n\\u202e0 detixe\n');
  });

  test('leaves letters of all languages alone', () => {
    assert.equal(printable('Grüße 你好 مرحبا 🙂'), 'Grüße 你好 مرحبا 🙂');
  });
});
