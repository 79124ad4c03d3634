/** `mediator-agent simulate`: plays both hosts through a real stub. Everything that they can ask passes, and what is wrong is told. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { install, payload } from './stub.ts';

const Line = z.strictObject({
  host: z.string(),
  script: z.string(),
  asked: z.string(),
  state: z.enum(['ok', 'warn', 'FAIL', 'unasked']),
  concludes: z.string(),
  why: z.string(),
  calls: z.number(),
  exit: z.number().nullable(),
  duration_ms: z.number(),
  stdin: z.number(),
  argument: z.number(),
});
type Line = z.output<typeof Line>;

const EVENTS = ['CREATE', 'ADVANCE', 'REDO', 'RESUBMIT', 'REOPEN', 'RESOLVE', 'REJECT', 'CANCEL', 'CLOSE', 'AUTOMATION_FAILED'];
const TRIGGERS = [
  ...['Before Publish', 'After Publish', 'Before Install Policy', 'After Install Policy', 'Before Submit', 'After Submit'],
  ...['Before Approve', 'After Approve', 'Before Reject', 'After Reject', 'Before Login', 'CloudGuard Controller Event'],
];

/** Prints what each kind owes, out of the input that it gets; a script of one line each. */
const KINDS: Record<string, string> = {
  condition:
    'printf "<response><condition_result>%s</condition_result></response>" "$([[ $1 == test || $1 == 9???????? ]] && echo true || echo false)"',
  assignment:
    'printf "<tasks><task><name>Review %s</name><participants><participant_username>a</participant_username></participants><assignment><assignment_mode>self</assignment_mode></assignment></task></tasks>" "$1"',
  'pre-assignment': '[[ $SCW_EVENT == PRE_ASSIGNMENT_SCRIPT || $SCW_EVENT == TEST ]]',
  risk:
    'printf "<external_risk_analysis_result><external_risk_analysis_result_for_fields>"; grep -o "<uuid>[^<]*" | while IFS=">" read -r _ uuid; do ' +
    'printf "<external_risk_analysis_result_for_field><field_uuid>%s</field_uuid><status>NO_RISK</status></external_risk_analysis_result_for_field>" "$uuid"; done; ' +
    'printf "</external_risk_analysis_result_for_fields></external_risk_analysis_result>"',
  validation: 'grep -q "<ticket_info"',
};

suite('simulate', () => {
  let agent: TestAgent;

  before(async () => {
    agent = await startAgent();
    for (const [kind, source] of Object.entries(KINDS))
      agent.script(`${kind}.sh`, `#!/bin/bash\n${source}\n`, { manifest: `kind: ${kind}\n` });
    agent.script('trigger.sh', '#!/bin/bash\necho "$SCW_EVENT" >>"$MEDIATOR_STATE/events"\ncat >"$MEDIATOR_STATE/$SCW_EVENT.xml"\n', {
      manifest: 'host: securechange\n',
    });
    agent.script('before.sh', '#!/bin/bash\necho \'{"result":"success"}\'\n', { manifest: 'host: checkpoint\nkind: before\n' });
    agent.script('after.sh', '#!/bin/bash\njq . "$MEDIATOR_PAYLOAD_FILE" >/dev/null\n', { manifest: 'host: checkpoint\nkind: after\n' });
  });
  after(() => agent.close());

  const simulate = async (host: string, ...args: string[]): Promise<{ code: number | null; lines: Line[]; stderr: string }> => {
    const { code, stdout, stderr } = await agent.command(['simulate', host], ['--url', agent.urls.wss, '--json', ...args]);
    return {
      code,
      lines: stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => Line.parse(JSON.parse(line))),
      stderr,
    };
  };
  const told = (lines: Line[]): string[] => lines.map(({ asked, state, concludes }) => `${state} ${asked}: ${concludes}`);
  const state = (script: string, name: string): string => path.join(agent.state, 'scripts', script, name);

  test('a trigger: the Test button, every event, and five at once as one run', async () => {
    const { code, lines } = await simulate('securechange', '--script', 'trigger');
    assert.deepEqual(told(lines), [
      'ok Test button: the test succeeded',
      ...EVENTS.map((event) => `ok ${event}: the trigger succeeded`),
      'ok CLOSE, 5 at once: the trigger succeeded, one run for all',
    ]);
    assert.equal(code, 0);
    assert.deepEqual(readFileSync(state('trigger', 'events'), 'utf8').split('\n').filter(Boolean), ['TEST', ...EVENTS, 'CLOSE']);
    assert.equal(readFileSync(state('trigger', 'TEST.xml'), 'utf8'), '<ticket_info/>');
    assert.match(readFileSync(state('trigger', 'CREATE.xml'), 'utf8'), /^<ticket_info><id>9\d{8}<\/id><subject>[^\n]*<\/ticket_info>$/);
    assert.match(readFileSync(state('trigger', 'CLOSE.xml'), 'utf8'), /<completion_data><stage><id>/);
  });

  const kinds: [kind: string, asked: string, concludes: RegExp][] = [
    ['condition', 'condition', /^the condition is true$/],
    ['assignment', 'assignment', /^tasks: Review 9\d{8}$/],
    ['pre-assignment', 'PRE_ASSIGNMENT_SCRIPT', /^the pre-assignment succeeded$/],
    ['risk', 'risk', /^risk: NO_RISK, NO_RISK, NO_RISK$/],
    ['validation', 'validation', /^the validation succeeded$/],
  ];
  for (const [kind, asked, concludes] of kinds) {
    test(`${kind}: the answer is read as SecureChange reads it`, async () => {
      const { code, lines } = await simulate('securechange', '--script', kind);
      assert.deepEqual(
        lines.map((line) => line.state),
        ['ok', 'ok', 'ok'],
        JSON.stringify(lines),
      );
      assert.equal(lines[1]?.asked, asked);
      assert.match(lines[1].concludes, concludes);
      assert.equal(lines[2]?.calls, 5);
      assert.equal(code, 0);
    });
  }

  test('a failing trigger is tried five times, one that succeeds at last is told', async () => {
    agent.script('fails.sh', '#!/bin/bash\necho x >>"$MEDIATOR_STATE/ledger"; echo "no database" >&2; exit 1\n');
    const failed = await simulate('securechange', '--script', 'fails', '--event', 'CLOSE');
    assert.equal(failed.code, 1);
    const [, close] = failed.lines;
    assert.deepEqual([close?.state, close?.calls, close?.exit, close?.why], ['FAIL', 5, 1, 'no database']);
    assert.match(close?.concludes ?? '', /exit code 1, 5 times; SecureChange gives up/);

    agent.script(
      'third.sh',
      '#!/bin/bash\n[[ $SCW_EVENT == TEST ]] && exit\necho x >>"$MEDIATOR_STATE/ledger"; (($(wc -l <"$MEDIATOR_STATE/ledger") >= 3))\n',
    );
    const third = await simulate('securechange', '--script', 'third', '--event', 'CREATE');
    assert.deepEqual([third.code, third.lines[1]?.state, third.lines[1]?.calls], [0, 'warn', 3]);
  });

  test('answers that are none, and access requests without a result, are failures', async () => {
    agent.script('yes.sh', '#!/bin/bash\necho yes\n');
    for (const kind of ['condition', 'assignment', 'risk']) {
      const { code, lines } = await simulate('securechange', '--script', 'yes', '--kind', kind);
      assert.deepEqual([code, lines[1]?.state], [1, 'FAIL'], kind);
      assert.match(lines[1]?.concludes ?? '', /is not XML/);
    }
    agent.script(
      'one.sh',
      '#!/bin/bash\nprintf "<external_risk_analysis_result><external_risk_analysis_result_for_fields><external_risk_analysis_result_for_field><field_uuid>x</field_uuid><status>NO_RISK</status></external_risk_analysis_result_for_field></external_risk_analysis_result_for_fields></external_risk_analysis_result>"\n',
    );
    const { lines } = await simulate('securechange', '--script', 'one', '--kind', 'risk');
    assert.equal(lines[1]?.concludes, 'no risk result for 3 of the access requests');
  });

  test('an answer that stands in for the script is no proper conclusion', async () => {
    agent.script('open.sh', '#!/bin/bash\nexit 3\n', { manifest: 'kind: condition\nfail-open: true\n' });
    const { code, lines } = await simulate('securechange', '--script', 'open');
    assert.deepEqual([code, lines[1]?.state, lines[1]?.exit], [1, 'FAIL', 0]);
    assert.match(lines[1]?.concludes ?? '', /fail-open decided$/);
  });

  test('a ticket from a file is sent byte for byte, but updated now; the Arguments field is one argument', async () => {
    agent.script('shows.sh', '#!/bin/bash\nprintf "%s|%s" "$#" "$1" >"$MEDIATOR_STATE/args"; cat >"$MEDIATOR_STATE/$SCW_EVENT"\n');
    const file = path.join(agent.dir, 'ticket.xml');
    writeFileSync(file, payload('securechange/close.xml'));
    for (let time = 0; time < 2; time += 1) {
      const { code, lines } = await simulate(
        'securechange',
        '--script',
        'shows',
        '--event',
        'CLOSE',
        '--ticket',
        file,
        '--argument',
        '--queue "DMZ team"',
      );
      assert.equal(code, 0, JSON.stringify(lines));
      const sent = readFileSync(state('shows', 'CLOSE'), 'utf8');
      assert.notEqual(sent, payload('securechange/close.xml').toString());
      assert.equal(sent.replace(/(?<=<updateDate>)\d+/, '1704879912004'), payload('securechange/close.xml').toString());
    }
    assert.equal(readFileSync(state('shows', 'args'), 'utf8'), '1|--queue "DMZ team"');
  });

  test('without --script, every script whose manifest names the host', async () => {
    const { code, lines } = await simulate('securechange', '--event', 'CREATE');
    assert.deepEqual(new Set(lines.map(({ script }) => script)), new Set(['trigger.sh']));
    assert.equal(code, 0);
  });

  test('Check Point: every trigger that fits, from 1 kB up to what an argument holds, and what it does not hold is said', async () => {
    for (const [script, concludes] of [
      ['before', 'the operation goes on'],
      ['after', 'the task succeeded'],
    ] as const) {
      const { code, lines } = await simulate('checkpoint', '--script', script);
      const mine = TRIGGERS.filter((trigger) => trigger.startsWith('Before') === (script === 'before'));
      const first = mine[0] ?? '';
      assert.deepEqual(told(lines), [
        ...mine.map((trigger) => `ok ${trigger}: ${concludes}`),
        ...['1 kB', '10 kB', '98301 bytes'].map((size) => `ok ${first}, ${size}: ${concludes}`),
        ...['98302 bytes', '1000 kB'].map((size) => `unasked ${first}, ${size}: the payload cannot be passed as an argument`),
      ]);
      assert.equal(code, 0);
    }
  });

  test('verdicts: aborted with its message, unknown results are warned of, everything else is a failure to run', async () => {
    agent.script(
      'names.sh',
      '#!/bin/bash\njq -c \'{result: .["custom-data"].result, message: .session."session-name"}\' "$MEDIATOR_PAYLOAD_FILE"\n',
      { manifest: 'kind: before\n' },
    );
    const with_ = (result: string): Promise<{ code: number | null; lines: Line[] }> =>
      simulate(
        'checkpoint',
        '--script',
        'names',
        '--trigger',
        'Before Publish',
        '--size',
        '2kB',
        '--custom-data',
        JSON.stringify({ result }),
      );
    const aborted = await with_('failure');
    assert.deepEqual([aborted.code, told(aborted.lines)], [0, ['ok Before Publish: the operation is aborted: CR-1042']]);
    assert.equal(aborted.lines[0]?.argument, Math.ceil(2000 / 3) * 4);
    const unknown = await with_('perhaps');
    assert.deepEqual([unknown.code, unknown.lines[0]?.state], [0, 'warn']);
    for (const [flag, outcome] of [
      [[], 'goes on'],
      [['--fail-closed'], 'is aborted'],
    ] as const) {
      const none = await simulate('checkpoint', '--script', 'after', '--trigger', 'Before Publish', '--size', '1kB', ...flag);
      assert.equal(none.code, 1);
      assert.match(none.lines[0]?.concludes ?? '', new RegExp(`a failure to run, so the operation ${outcome} `));
    }
  });

  test('an agent that cannot be reached: what fail-open makes of it, and no success', async () => {
    for (const [flag, outcome] of [
      [[], 'goes on'],
      [['--fail-closed'], 'is aborted'],
    ] as const) {
      const { code, lines } = await simulate(
        'checkpoint',
        '--script',
        'before',
        '--trigger',
        'Before Publish',
        '--size',
        '1kB',
        '--url',
        'ws://127.0.0.1:1',
        ...flag,
      );
      assert.deepEqual([code, lines[0]?.concludes], [1, `the operation ${outcome}, but the script gave no answer: fail-open decided`]);
    }
  });

  test("a script that takes longer than the SmartTask's time-out", async () => {
    agent.script('sleeps.sh', '#!/bin/bash\nexec sleep 60\n', { manifest: 'on-caller-loss: kill\n' });
    const { code, lines } = await simulate(
      'checkpoint',
      '--script',
      'sleeps',
      '--trigger',
      'Before Publish',
      '--size',
      '1kB',
      '--time-out',
      '1',
    );
    assert.equal(code, 1);
    assert.match(lines[0]?.concludes ?? '', /^no end in time: a failure to run/);
  });

  test('tasks: the event itself is called, and the fail-open of the task decides, not that of a manifest', async () => {
    agent.script('crashes.sh', '#!/bin/bash\nexit 3\n', { manifest: 'kind: before\nfail-open: true\n' });
    const task = (name: string, trigger: string, script: string): void => {
      const text = `name: ${name}\ntrigger: "${trigger}"\nenabled: true\nfail-open: false\naction:\n  run-script: { repository-script: ${script}, time-out: 30 }\n`;
      writeFileSync(path.join(agent.scripts, `${name}.task.yaml`), text, { mode: 0o644 });
    };
    task('good', 'After Publish', 'after.sh');
    task('bad', 'Before Publish', 'crashes.sh');
    task('closes', 'CLOSE', 'validation.sh');
    const { code, lines } = await simulate(
      'checkpoint',
      '--tasks',
      '--size',
      '1kB',
      '--trigger',
      'After Publish',
      '--trigger',
      'Before Publish',
      '--trigger',
      'Before Login',
    );
    assert.deepEqual(told(lines), [
      'ok After Publish: the task succeeded',
      'ok Before Publish: the operation is aborted: the script exited with 3; fail-open: false',
      'ok Before Login: the operation goes on',
    ]);
    assert.equal(code, 0);
    const securechange = await simulate('securechange', '--tasks', '--event', 'CLOSE', '--event', 'CREATE');
    assert.equal(securechange.code, 0, JSON.stringify(securechange.lines));
  });

  test('a real script of the field', async () => {
    install(agent, 'dispatch.py', 'host: securechange\n');
    const { code, lines } = await simulate('securechange', '--script', 'dispatch', '--argument', '--team "DMZ ops"');
    assert.equal(code, 0, JSON.stringify(lines));
  });

  test('for people: progress on stderr, a table and remarks on stdout, and no folder is left', async (context) => {
    const folder = temporaryFolder(context);
    const { code, stdout, stderr } = await agent.command(
      ['simulate', 'securechange'],
      ['--url', agent.urls.wss, '--script', 'fails', '--event', 'CLOSE'],
      { env: { TMPDIR: folder } },
    );
    assert.equal(code, 1);
    assert.match(stderr, /^\[2\/3\] fails: CLOSE … failed, try 2 … .*FAIL, \d+ ms$/m);
    assert.match(stdout, /^FAIL +fails +CLOSE +5 +1 +\d+ ms +the trigger failed: exit code 1, 5 times; SecureChange gives up$/m);
    assert.match(stdout, /^ {2}no database$/m);
    assert.match(stdout, /^3 asked: 0 ok, 0 to look at, 0 that cannot be asked, 3 failed$/m);
    assert.deepEqual(readdirSync(folder), []);
    assert.ok(existsSync(state('fails', 'ledger')));
  });

  test('wrong usage is told before anything is called', async () => {
    const wrong: [host: string, ...args: string[]][] = [
      ['checkpoint', '--time-out', 'soon'],
      ['checkpoint', '--size', 'large'],
      ['checkpoint', '--custom-data', '[1]'],
      ['securechange', '--kind', 'risk'],
      ['securechange', '--key', 'nobody', '--script', 'trigger'],
    ];
    for (const [host, ...args] of wrong) {
      const { code, stdout, stderr } = await agent.command(['simulate', host], ['--url', agent.urls.wss, ...args]);
      assert.deepEqual([code, stdout], [64, ''], args.join(' '));
      assert.match(stderr, /mediator-agent: /);
    }
  });
});
