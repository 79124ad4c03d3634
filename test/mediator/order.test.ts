/** bash runs the stub while it reads it: what is called by then has to stand above. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';

const source = readFileSync(new URL('../../mediator/mediator.sh', import.meta.url), 'utf8');
const bodies = new Map([...source.matchAll(/^([a-z0-9_]+)\(\) \{\n(.*?)^\}$/gms)].map(([, name = '', body = '']) => [name, body]));

/** Called before they are defined, by conditions that do not hold by then. */
const LATER = {
  frame_header: 'wire_flush sends a ping over a WebSocket only',
  stdin_stream: 'main_ask sends a short stdin only',
  session_cancel: 'a signal before main is dealt with by main',
};

/** The same, for main_begin: it opens wss:// only, and only if no proxy may be on the way. */
const OPENED_BY_MAIN_OPEN = ['proxy_find', 'tcp_allowed', 'tcp_open'];

suite('what the stub calls before all of it was read', () => {
  for (const step of ['main_begin', 'main_open', 'main_request', 'main_ask', 'main']) {
    test(`${step} calls nothing that stands below it`, () => {
      const [above = '', below] = source.split(new RegExp(`^\\[\\[ .* \\|\\| ${step}\\b.*$`, 'm'));
      assert.notEqual(below, undefined);
      const defined = new Set([...above.matchAll(/^([a-z0-9_]+)\(\) \{$/gm)].map(([, name]) => name));
      const excused = (name: string): boolean =>
        (step !== 'main' && name in LATER) || (step === 'main_begin' && OPENED_BY_MAIN_OPEN.includes(name));
      const called = reach(new Set([step, 'main_clean', 'session_interrupted']), excused);
      assert.deepEqual(
        called.filter((name) => !defined.has(name) && !excused(name)),
        [],
      );
    });
  }
});

/** These functions, and what they call by whatever way, but not by those that are excused. */
function reach(found: Set<string>, excused: (name: string) => boolean): string[] {
  for (const from of found) {
    if (excused(from)) continue;
    const words = (bodies.get(from) ?? '').replaceAll(/^ *#.*$/gm, '').match(/\b(?:die|fail|[a-z0-9]+(?:_[a-z0-9]+)+)\b/g) ?? [];
    for (const word of words) if (bodies.has(word)) found.add(word);
  }
  return [...found];
}
