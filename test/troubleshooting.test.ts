/** docs/troubleshooting.md has every message of the stub, every failure, and every line of level `warn` or `error` of the agent's log; and none that does not exist. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { suite, test } from 'node:test';
import { FAILURE_CODES } from '../protocol/failures.ts';

const root = new URL('../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
const page = read('docs/troubleshooting.md');

/** The first cells of the tables below a heading. */
function rowsUnder(heading: string): string[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell);
}

/** A message whose changing parts are `…`, as an expression. */
function pattern(row: string): RegExp {
  return new RegExp(`^${row.split('…').map(escape).join('.*')}`, 's');
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Every message has a row, and every row a message. */
function assertCovered(messages: readonly string[], rows: readonly string[]): void {
  for (const message of messages)
    assert.ok(
      rows.some((row) => pattern(row).test(message)),
      `no row for: ${message}`,
    );
  for (const row of rows)
    assert.ok(
      messages.some((message) => pattern(row).test(message)),
      `nothing says: ${row}`,
    );
}

/** What the stub ends with, by its exit code. */
function stubMessages(): { code: string; text: string }[] {
  const calls = /\b(?:die|fail) ("\$code"|\d+) (?:'([^']*)'|"((?:[^"\\]|\\.)*)")/g;
  return [...read('mediator/mediator.sh').matchAll(calls)]
    .map(([, code = '', plain, quoted = '']) => ({ code, text: plain ?? withoutVariables(quoted) }))
    .filter(({ text }) => text !== '…');
}

function withoutVariables(text: string): string {
  return text
    .replaceAll(/\$\{[^{}]*\}|\$\w+/g, '…')
    .replaceAll(/(?:…:…|… \(…:…\))/g, '…')
    .replaceAll('\\"', '"');
}

function logMessages(): string[] {
  const files = readdirSync(new URL('agent/', root), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) =>
    [...read(`agent/${file}`).matchAll(/\blog\.(?:warn|error|fatal)\((?:\s*\{[^}]*\},)?\s*'([^']+)'/g)].map(([, text = '']) => text),
  );
}

suite('docs/troubleshooting.md is complete:', () => {
  test('what the stub says', () => {
    const messages = stubMessages().map(({ text }) => text);
    assert.ok(messages.length > 50);
    assertCovered(messages, rowsUnder('What the stub says'));
  });
  test('what the agent refuses', () => {
    assert.deepEqual(rowsUnder('What the agent refuses'), [...FAILURE_CODES]);
  });
  test('what the agent logs', () => {
    const messages = logMessages();
    assert.ok(messages.length > 20);
    assertCovered(messages, rowsUnder('What the agent logs'));
  });
});
