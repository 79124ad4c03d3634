/** docs/covered.md: it names everything that the code knows, and tests that exist. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { KIND_NAMES } from '../agent/config/kinds.ts';
import { TRIGGERS } from '../agent/cli/simulate/payloads.ts';
import { EVENTS } from '../agent/cli/simulate/securechange.ts';
import { Task } from '../agent/tasks/task.ts';

const covered = readFileSync(new URL('../docs/covered.md', import.meta.url), 'utf8');
const rows = [...covered.matchAll(/^\| (.*) \| (.*) \|$/gm)].filter(([, , by]) => by !== 'shown by');

suite('what docs/covered.md says is covered', () => {
  test('is every event, kind, trigger, action and field', () => {
    const actions = Object.entries(Task.shape.action.shape).flatMap(([name, fields]) => [name, ...Object.keys(fields.unwrap().shape)]);
    const manifest = ['events', 'retries', 'fail-open', 'serialize', 'payload', 'reply', 'timeout', 'on-caller-loss'];
    const named = new Set(rows.flatMap(([, what = '']) => [...what.matchAll(/`([^`]+)`/g)].map(([, name]) => name)));
    const all = [...EVENTS, 'TEST', ...KIND_NAMES, ...TRIGGERS, ...Object.keys(Task.shape), ...actions, ...manifest];
    assert.deepEqual(
      all.filter((name) => !named.has(name)),
      [],
    );
  });

  test('is shown by tests that exist', () => {
    assert.ok(rows.length > 40);
    for (const [row, , by = ''] of rows) {
      const parts = [...by.matchAll(/`([\w/-]+\.(?:test|slow)\.ts)`|"([^"]+)"/g)];
      let names = '';
      assert.match(parts[0]?.[0] ?? '', /\.(?:test|slow)\.ts`$/, row);
      for (const [, file, name = ''] of parts) {
        if (file === undefined) assert.ok(names.includes(name), `no test is named "${name}": ${row}`);
        else names = namesIn(readFileSync(new URL(file, import.meta.url), 'utf8'));
      }
    }
  });
});

/** The names as they stand in the source, one a line. */
function namesIn(source: string): string {
  return [...source.matchAll(/\btest\(\s*(['"`])(.*?)\1,/g)].map(([, , name]) => name).join('\n');
}
