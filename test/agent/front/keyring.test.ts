/** The keys, as the front asks for them at every call. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import pino from 'pino';
import { Keyring } from '../../../agent/front/keyring.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const SECRET = 'A'.repeat(43);
const keysYaml = (id: string): string => `keys:\n  - id: ${id}\n    secret: ${SECRET}\n`;

suite('the keys that are in force', () => {
  test('are those of a new file at once, also where two replacements bring an inode back', (context) => {
    const file = path.join(temporaryFolder(context), 'keys.yaml');
    const replace = (id: string): void => {
      writeFileSync(`${file}.tmp`, keysYaml(id), { mode: 0o600 });
      renameSync(`${file}.tmp`, file);
    };
    replace('first');
    const keyring = new Keyring(file, pino({ level: 'silent' }));
    keyring.read();
    for (let count = 0; count < 10; count += 1) {
      for (let unseen = 0; unseen < count % 3; unseen += 1) replace('unseen');
      replace(`key-${count}`);
      assert.deepEqual(
        keyring.changed()?.map(({ id }) => id),
        [`key-${count}`],
      );
      assert.equal(keyring.changed(), undefined);
    }
  });
});
