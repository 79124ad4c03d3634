import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { makeStub, type Stub } from '../e2e/stubs.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';

const LIMITED = { id: 'limited', secret: 'a-secret-for-tests-0123456789abcdef' };

suite('the doctor of the stub', () => {
  let agent: TestAgent;
  let stub: Stub;

  before(async () => {
    agent = await startAgent({ keys: [{ ...LIMITED, scripts: ['close-*', 'über alles/**'] }] });
    stub = await makeStub(agent, { options: ['--key', LIMITED.id] });
  });
  after(() => agent.close());

  for (const transport of ['openssl', 'curl']) {
    test(`finds everything in order, by ${transport}`, async () => {
      const { code, stdout, stderr } = await stub.call(['--doctor'], { env: { MEDIATOR_TRANSPORT: transport } });
      assert.equal(code, 0, stdout.toString());
      assert.equal(stderr, '');
      assert.match(stdout.toString(), new RegExp(`goes by ${transport}: .*\\n.*\\nok    TLS: the certificate of .*, valid until .*\\n`));
      assert.match(stdout.toString(), /^ok {4}the clocks are [0-2] s apart$/m);
      assert.match(stdout.toString(), /^ok {4}the key may call: close-\* %C3%BCber%20alles\/\*\*$/m);
      assert.match(stdout.toString(), /^ok {4}round trip \d+ ms$/m);
      assert.doesNotMatch(stdout.toString(), /^(?!ok {4}|$)/m);
    });
  }

  test('names a key that the agent does not know', async () => {
    const env = { MEDIATOR_KEY: 'stranger:a-secret-for-tests-0123456789abcdef' };
    const { code, stdout } = await stub.call(['--doctor'], { env });
    assert.equal(code, 77);
    assert.match(stdout.toString(), /^FAIL .*\(exit code 77\)$/m);
  });
});
