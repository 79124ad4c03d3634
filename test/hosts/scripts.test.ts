/** Scripts as the field writes them, in test/fixtures/scripts: they run unchanged, through a real stub. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { ROOT } from '../helpers/command.ts';
import { processesNaming } from '../helpers/processes.ts';
import { until } from '../helpers/wait.ts';
import { assertAnswered, base64, checkPoint, install, payload, secureChange, ticket } from './stub.ts';

const works = (file: string, ...args: string[]): boolean => spawnSync(file, args).status === 0;
/** Debian's Perl: that of the agent's PATH. */
const hasLibXml = works('perl', '-MXML::LibXML', '-e', '1');
const publish = {
  session: { 'session-name': 'CR-7', 'user-name': 'Mickey' },
  operations: { 'added-objects': [1, 2], 'deleted-objects': [3] },
};

suite('scripts of the field run unchanged', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
  });
  after(() => agent.close());

  test('Python that reads SCW_EVENT, dispatches, and splits its one argument itself', async () => {
    install(agent, 'dispatch.py');
    const call = await secureChange(agent, 'dispatch');
    const args = ['--team "DMZ ops" --dry-run'];
    assertAnswered(await call({ args, stdin: payload('securechange/create.xml'), env: { SCW_EVENT: 'CREATE' } }), {
      stdout: 'ticket 65 created by mrossi\n',
    });
    assertAnswered(await call({ args, stdin: payload('securechange/advance.xml'), env: { SCW_EVENT: 'ADVANCE' } }), {
      stdout: 'ticket 64 left Business approval\n',
    });
    assertAnswered(await call({ args, stdin: payload('securechange/close.xml'), env: { SCW_EVENT: 'CLOSE' } }), {
      stdout: 'ticket 64 closed in Verify and close for DMZ ops\n',
    });
    assertAnswered(await call({ args, stdin: ticket(), env: { SCW_EVENT: 'REDO' } }), { stderr: "nothing to do for 'REDO'\n" });
    assertAnswered(await call({ stdin: '<ticket_info/>', env: { SCW_EVENT: 'TEST' } }), { stdout: 'Test OK\n' });
  });

  test('Perl that reads one line of stdin and matches <ticket_info><id>', async () => {
    install(agent, 'one-line.pl');
    const call = await secureChange(agent, 'one-line');
    const xml = payload('securechange/advance.xml');
    assertAnswered(await call({ stdin: xml, env: { SCW_EVENT: 'ADVANCE' } }), {
      stdout: `id=64 event=ADVANCE length=${xml.length} rest=no\n`,
    });
    assertAnswered(await call({ stdin: '<ticket_info/>', env: { SCW_EVENT: 'TEST' } }), { stdout: 'test\n' });
    assertAnswered(await call({ stdin: '<ticket_info>\n<id>1</id></ticket_info>' }), { code: 255, stderr: 'no ticket id\n' });
  });

  test(
    'Perl with XML::LibXML, a library in ../lib and a configuration beside it',
    { skip: !hasLibXml && 'XML::LibXML is not installed (Debian: apt-get install libxml-libxml-perl)' },
    async () => {
      install(agent, 'perl');
      const call = await secureChange(agent, 'perl/bin/show-ticket');
      const expected = 'DMZ queue|64|Open 443 to web tier & API (Zürich)|Verify and close\n';
      assertAnswered(await call({ stdin: payload('securechange/close.xml'), env: { SCW_EVENT: 'CLOSE' } }), { stdout: expected });
    },
  );

  test(
    'bash with jq on $1, without a shebang, that closes its stdin',
    { skip: !works('jq', '--version') && 'jq is not installed' },
    async () => {
      install(agent, 'change-report');
      const call = await checkPoint(agent, 'change-report');
      assertAnswered(await call({ args: [base64(publish)] }), { stdout: 'session CR-7: 3 changes\\tby Mickey\n' });
      const other = { ...publish, session: { 'session-name': 'quick fix' } };
      assertAnswered(await call({ args: [base64(other)] }), { code: 3, stderr: 'unexpected session: quick fix\n' });
    },
  );

  test('Python that keeps files in its working folder, from run to run', async () => {
    install(agent, 'keep-state.py', 'cwd: state\n');
    const call = await checkPoint(agent, 'keep-state');
    assertAnswered(await call({ args: [base64(publish)] }), { stdout: '1: CR-7\n' });
    assertAnswered(await call({ args: [base64({ session: { 'session-name': 'CR-8' } })] }), { stdout: '2: CR-7, CR-8\n' });
    assert.ok(existsSync(path.join(agent.state, 'scripts/keep-state/script.log')));
    assert.deepEqual(
      readdirSync(agent.scripts).filter((name) => /seen|log/.test(name)),
      [],
    );
  });

  test('a script that exits while its children still print: they are not waited for, and live on', async () => {
    install(agent, 'exits-early.sh');
    const call = await checkPoint(agent, 'exits-early');
    const { code, stdout } = await call();
    assert.equal(code, 4);
    assert.match(stdout.toString(), /^accepted\n(still working\n)*$/);
    const state = path.join(agent.state, 'scripts/exits-early');
    assert.notDeepEqual(processesNaming(state), []);
    writeFileSync(path.join(state, 'stop'), '');
    await until('the end of the children', () => processesNaming(state).length === 0);
  });

  test('Python in a virtual environment', { skip: !works('python3', '-m', 'venv', '--help') && 'python3 has no venv' }, async () => {
    const venv = path.join(agent.dir, 'venv');
    assert.ok(works('/usr/bin/python3', '-m', 'venv', '--without-pip', venv));
    const packages = path.join(venv, 'lib', readdirSync(path.join(venv, 'lib'))[0] ?? '', 'site-packages');
    mkdirSync(packages, { recursive: true });
    writeFileSync(path.join(packages, 'only_in_the_venv.py'), "NAME = 'from the venv'\n");
    install(agent, 'in-venv.py', `interpreter: [${venv}/bin/python3]\n`);
    const call = await secureChange(agent, 'in-venv');
    assertAnswered(await call({ stdin: ticket() }), { stdout: 'from the venv True\n' });
  });

  test('Node with ES modules, top-level await and a payload from the file', async () => {
    install(agent, 'node');
    const call = await checkPoint(agent, 'node/summary');
    assertAnswered(await call({ args: [base64(payload('checkpoint/after-install-policy.json'))] }), {
      stdout: 'Standard on gw-paris, gw-milan\n',
    });
    assertAnswered(await call({ args: [base64(payload('checkpoint/after-install-policy-failed.json'))] }), {
      code: 2,
      stdout: 'DMZ on gw-paris, gw-milan\n',
    });
  });

  test("TypeScript that needs more than its types taken away, by the agent's own tsx", async () => {
    install(agent, 'verdict.ts', 'kind: before\n');
    const call = await checkPoint(agent, 'verdict');
    assertAnswered(await call({ args: [base64(publish)] }), { stdout: '{"result":"success"}\n' });
    const refused = '{"result":"failure","message":"Name the session CR-NUMBER"}\n';
    assertAnswered(await call({ args: [base64(payload('checkpoint/before-publish.json'))] }), { stdout: refused });
  });

  test('Ruby, as a scripted condition', { skip: !works('ruby', '--version') && 'ruby is not installed' }, async () => {
    install(agent, 'condition.rb', 'kind: condition\n');
    const call = await secureChange(agent, 'condition');
    const yes = '<response><condition_result>true</condition_result></response>';
    assertAnswered(await call({ args: ['65'], stdin: payload('securechange/create.xml') }), { stdout: yes });
    assertAnswered(await call({ args: ['64'], stdin: payload('securechange/close.xml') }), { stdout: yes.replace('true', 'false') });
    assertAnswered(await call({ args: ['test'], stdin: '<ticket_info/>', env: { SCW_EVENT: 'TEST' } }), { stdout: yes });
  });

  test(
    'a compiled program, as a dynamic assignment',
    { skip: !works('cc', '--version') && 'there is no C compiler (Debian: apt-get install gcc libc6-dev)' },
    async () => {
      const source = path.join(ROOT, 'test/fixtures/scripts/assign.c');
      assert.ok(works('cc', '-o', path.join(agent.scripts, 'assign'), source));
      writeFileSync(path.join(agent.scripts, 'assign.yaml'), 'kind: assignment\n', { mode: 0o644 });
      const call = await secureChange(agent, 'assign');
      const { code, stdout } = await call({ args: ['64'], stdin: ticket() });
      assert.equal(code, 0);
      assert.match(stdout.toString(), /^<tasks><task><name>Review 64<\/name>.*<\/tasks>$/);
    },
  );
});
