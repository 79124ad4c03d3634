/** What each kind owes SecureChange: good, bad and missing answers, fail-open and fail-closed (securechange.md, Kinds and what they must answer). */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { assertAnswered, secureChange, ticket } from './stub.ts';

const condition = (value: string): string => `<response><condition_result>${value}</condition_result></response>`;
const task = (fields: Record<string, string> = {}): string => {
  const {
    name = '<name>Approve DMZ</name>',
    who = '<participant_username>alice</participant_username>',
    mode = '<assignment_mode>self</assignment_mode>',
  } = fields;
  return `<task>${name}<participants>${who}</participants><assignment>${mode}</assignment><access_requests><access_request_id>1</access_request_id></access_requests></task>`;
};
const risk = (...fields: string[]): string =>
  `<external_risk_analysis_result><external_risk_analysis_result_for_fields>${fields.join('')}</external_risk_analysis_result_for_fields></external_risk_analysis_result>`;
const oneRisk = (status: string, uuid = 'u-1'): string =>
  `<external_risk_analysis_result_for_field><field_uuid>${uuid}</field_uuid><status>${status}</status><score>6.3</score><comment/><detailed_report_url/><severity>CRITICAL</severity></external_risk_analysis_result_for_field>`;
const DRAFT = `<field_info><context xsi:type="ticket_draft"/><field xsi:type="multi_access_request"><name>AR</name>${['u-1', 'u-2'].map((uuid) => `<access_request><uuid>${uuid}</uuid><order>AR1</order></access_request>`).join('')}</field></field_info>`;

/** By kind: what is passed on as it was printed, and what is no answer. */
const ANSWERS: Record<string, { good: Record<string, string>; bad: Record<string, string> }> = {
  condition: {
    good: {
      true: condition('true'),
      false: condition('false'),
      'spaces around the value': condition(' true '),
      'a declaration, line breaks and an unknown element': `<?xml version="1.0"?>\n<response>\n <why>none</why>\n <condition_result>false</condition_result>\n</response>\n`,
    },
    bad: {
      nothing: '',
      'white space': ' \n',
      'another word': condition('yes'),
      'the wrong case': condition('TRUE'),
      'another root': '<result>true</result>',
      text: 'true',
      'XML that does not end': '<response><condition_result>true</condition_result>',
      'two roots': condition('true') + condition('true'),
      'a line before it': `DEBUG connected\n${condition('true')}`,
    },
  },
  assignment: {
    good: {
      'one task': `<tasks>${task()}</tasks>`,
      'two tasks and two participants': `<tasks>${task({ who: '<participant_username>a</participant_username><participant_username>b</participant_username>' })}${task()}</tasks>`,
      'mode auto': `<tasks>${task({ mode: '<assignment_mode>auto</assignment_mode>' })}</tasks>`,
      'mode manual with an assigner': `<tasks>${task({ mode: '<assignment_mode>manual</assignment_mode><assigner_username>bob</assigner_username>' })}</tasks>`,
      'no task': '<tasks></tasks>',
      'an empty element': '<tasks/>',
      'no access requests': `<tasks>${task().replace(/<access_requests>.*<\/access_requests>/, '')}</tasks>`,
    },
    bad: {
      nothing: '',
      'a task without a name': `<tasks>${task({ name: '' })}</tasks>`,
      'a task without participants': `<tasks>${task({ who: '' })}</tasks>`,
      'mode manual without an assigner': `<tasks>${task({ mode: '<assignment_mode>manual</assignment_mode>' })}</tasks>`,
      'an unknown mode': `<tasks>${task({ mode: '<assignment_mode>round-robin</assignment_mode>' })}</tasks>`,
      'another root': task(),
    },
  },
  risk: {
    good: {
      HAS_RISK: risk(oneRisk('HAS_RISK'), oneRisk('HAS_RISK', 'u-2')),
      'NO_RISK and CANNOT_COMPUTE': risk(oneRisk('NO_RISK', 'u-2'), oneRisk('CANNOT_COMPUTE')),
      'a status that nobody has seen yet': risk(oneRisk('PENDING'), oneRisk('NO_RISK', 'u-2')),
      'a result for what is not in the draft': risk(oneRisk('NO_RISK'), oneRisk('NO_RISK', 'u-2'), oneRisk('NO_RISK', 'u-3')),
    },
    bad: {
      nothing: '',
      'no result': risk(),
      'no result for one of the access requests': risk(oneRisk('NO_RISK')),
      'two results for the same one': risk(oneRisk('NO_RISK'), oneRisk('HAS_RISK')),
      'a result without a status': risk(
        '<external_risk_analysis_result_for_field><field_uuid>u</field_uuid></external_risk_analysis_result_for_field>',
      ),
      'another root': '<risk>HIGH</risk>',
    },
  },
};

suite('the answer of each kind', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
    const prints = '#!/bin/bash\ncat >/dev/null; echo "note" >&2; printf %s "$2"; exit "${1:-0}"\n';
    for (const kind of [...Object.keys(ANSWERS), 'trigger', 'pre-assignment', 'validation']) {
      agent.script(`${kind}.sh`, prints, { manifest: `kind: ${kind}\n` });
      agent.script(`${kind}-open.sh`, prints, { manifest: `kind: ${kind}\nfail-open: true\n` });
    }
  });
  after(() => agent.close());

  for (const [kind, { good, bad }] of Object.entries(ANSWERS)) {
    for (const [what, answer] of Object.entries(good)) {
      test(`${kind}: ${what} is passed on byte for byte`, async () => {
        const call = await secureChange(agent, kind);
        assertAnswered(await call({ args: ['0', answer], stdin: DRAFT }), { stdout: answer, stderr: 'note\n' });
      });
    }
    for (const [what, answer] of Object.entries(bad)) {
      test(`${kind}: ${what} is a failure, which says what is wrong`, async () => {
        const call = await secureChange(agent, kind);
        const { code, stderr } = await call({ args: ['0', answer], stdin: DRAFT });
        assert.equal(code, 1);
        assert.match(stderr, /^note\nmediator: (the answer|the script printed nothing).*\n$/);
      });
    }
    test(`${kind}: an exit code other than 0 is passed on`, async () => {
      const call = await secureChange(agent, kind);
      const answer = Object.values(good)[0] ?? '';
      const { code, stderr } = await call({ args: ['3', answer], stdin: DRAFT });
      assert.equal(code, 3);
      assert.match(stderr, /mediator: the script exited with 3\n$/);
    });
  }

  const result = (uuid: string): string =>
    `<external_risk_analysis_result_for_field><field_uuid>${uuid}</field_uuid><status>CANNOT_COMPUTE</status><score/><comment/><detailed_report_url/><severity/></external_risk_analysis_result_for_field>`;
  const standIns: Record<string, string> = {
    condition: condition('true'),
    assignment: '<tasks></tasks>',
    risk: risk(result('u-1'), result('u-2')),
  };
  for (const [kind, stdout] of Object.entries(standIns)) {
    test(`${kind}: with fail-open, a bad answer and a failure become the answer that lets the ticket go on`, async () => {
      const call = await secureChange(agent, `${kind}-open`);
      for (const args of [
        ['0', 'nonsense'],
        ['0', ''],
        ['9', 'nonsense'],
      ]) {
        assertAnswered(await call({ args, stdin: DRAFT }), { stdout, stderr: /fail-open: true demands\n$/ });
      }
    });
  }

  for (const kind of ['trigger', 'pre-assignment', 'validation']) {
    test(`${kind}: stdout is passed on as it comes, and the exit code is the answer, with fail-open too`, async () => {
      for (const name of [kind, `${kind}-open`]) {
        const call = await secureChange(agent, name);
        for (const code of [0, 1, 3]) {
          assertAnswered(await call({ args: [String(code), '<any>thing'], stdin: ticket() }), {
            code,
            stdout: '<any>thing',
            stderr: 'note\n',
          });
        }
      }
    });
  }

  test('a script that runs too long: 124, or with fail-open the answer that its kind needs', async () => {
    const slow = '#!/bin/bash\nsleep 60\n';
    agent.script('slow.sh', slow, { manifest: 'kind: condition\ntimeout: 100ms\ngrace: 10ms\n' });
    agent.script('slow-open.sh', slow, { manifest: 'kind: condition\ntimeout: 100ms\ngrace: 10ms\nfail-open: true\n' });
    agent.script('slow-trigger.sh', slow, { manifest: 'kind: trigger\ntimeout: 100ms\ngrace: 10ms\nfail-open: true\n' });
    assertAnswered(await (await secureChange(agent, 'slow'))({ stdin: ticket() }), { code: 124, stderr: /^mediator: / });
    assertAnswered(await (await secureChange(agent, 'slow-open'))({ stdin: ticket() }), { stdout: condition('true'), stderr: /fail-open/ });
    assertAnswered(await (await secureChange(agent, 'slow-trigger'))({ stdin: ticket() }), { code: 0, stderr: /fail-open/ });
  });

  test('with fail-open, every access request of a draft of 200 KiB gets its result', async () => {
    const uuids = Array.from({ length: 400 }, (_, index) => `0000-${index}`);
    const filler = '<comment>filler filler filler</comment>'.repeat(12);
    const draft = `<field_info><field>${uuids.map((uuid) => `<access_request><uuid>${uuid}</uuid>${filler}</access_request>`).join('')}</field></field_info>`;
    const call = await secureChange(agent, 'risk-open');
    const { code, stdout } = await call({ args: ['9'], stdin: draft });
    assert.equal(code, 0);
    assert.equal(stdout.toString(), risk(...uuids.map(result)));
  });

  test('with fail-open, nothing stands in for the answer to a draft that has an id which is none', async () => {
    const call = await secureChange(agent, 'risk-open');
    for (const uuid of ['', '1&amp;2', 'x'.repeat(65)]) {
      const draft = `<field_info><field><access_request><uuid>1</uuid></access_request><access_request><uuid>${uuid}</uuid></access_request></field></field_info>`;
      const { code, stdout } = await call({ args: ['9'], stdin: draft });
      assert.notEqual(code, 0, uuid);
      assert.equal(stdout.toString().includes('CANNOT_COMPUTE'), false, uuid);
    }
  });

  test('the Test button: SCW_EVENT is TEST, stdin is <ticket_info/>, and what the script prints is shown, answer or not', async () => {
    agent.script('button.sh', '#!/bin/bash\nprintf "%s/%s/%s" "$SCW_EVENT" "$1" "$(cat)"\n', { manifest: 'kind: condition\n' });
    const call = await secureChange(agent, 'button');
    assertAnswered(await call({ args: ['test'], stdin: '<ticket_info/>', env: { SCW_EVENT: 'TEST' } }), {
      stdout: 'TEST/test/<ticket_info/>',
      stderr: /^mediator: the answer is not XML/,
    });
    assert.equal((await call({ args: ['64'], stdin: ticket(), env: { SCW_EVENT: 'CREATE' } })).code, 1);
  });

  test('with events in the manifest, all others end with 0 and without a run of the script, but for the Test button', async () => {
    agent.script('filtered.sh', '#!/bin/bash\necho "$SCW_EVENT"\n', { manifest: 'kind: trigger\nevents: [CLOSE]\n' });
    const call = await secureChange(agent, 'filtered');
    for (const event of ['CLOSE', 'TEST'])
      assertAnswered(await call({ stdin: ticket(), env: { SCW_EVENT: event } }), { stdout: `${event}\n` });
    for (const event of ['CREATE', 'CANCEL', 'SOMETHING_NEW'])
      assertAnswered(await call({ stdin: ticket(), env: { SCW_EVENT: event } }), { stderr: /^mediator: not run/ });
  });

  test('ticket, subject, stage, requester and event are in the journal', async () => {
    const call = await secureChange(agent, 'trigger');
    assertAnswered(await call({ args: ['0'], stdin: ticket({ id: 4711 }), env: { SCW_EVENT: 'ADVANCE' } }), { stderr: 'note\n' });
    const [run] = await agent.runs('ticket=4711');
    assert.deepEqual(
      [run?.event, run?.script, run?.subject, run?.requester, run?.stage],
      ['ADVANCE', 'trigger.sh', 'Open 443 & more (Zürich)', 'jdoe', '253'],
    );
  });
});
