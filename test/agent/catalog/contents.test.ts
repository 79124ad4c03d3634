/** A file that is being written is waited for. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import { fingerprintOf, settled } from '../../../agent/catalog/contents.ts';
import { temporaryFolder } from '../../helpers/folder.ts';
import { until } from '../../helpers/wait.ts';

const SETTLE = 30;

suite('a file that is being written', () => {
  test('is waited for where its size has changed and not its time: it is being truncated', async (context) => {
    const file = path.join(temporaryFolder(context), 'script.sh');
    const look = () => statSync(file, { bigint: true });
    writeFileSync(file, '');
    await until('it is old enough', () => Date.now() - Number(look().ctimeMs) > SETTLE);
    const before = { ...look(), size: 200n };
    const found = settled('script.sh', file, SETTLE, fingerprintOf(before));
    writeFileSync(file, 'whole');
    assert.equal((await found).size, 5n);
  });
});
