import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { allowedOf, buildEnvironment, readSecrets, type EnvironmentSources } from '../../../agent/runner/environment.ts';
import { Failure } from '../../../protocol/failures.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const NOTHING: EnvironmentSources = {
  agent: {},
  searchPath: '/bin',
  forwarded: {},
  allowed: [],
  manifest: {},
  secrets: {},
  mediator: {},
};

suite('the environment of a script', () => {
  test('is clean: of the agent’s own, only who and where it is', () => {
    const agent = {
      HOME: '/h',
      USER: 'u',
      LOGNAME: 'u',
      LANG: 'C',
      LC_ALL: 'C',
      TZ: 'UTC',
      TMPDIR: '/t',
      PATH: '/p',
      SECRET: 's',
      NODE_OPTIONS: '-r x',
    };
    const { HOME, USER, LOGNAME, LANG, LC_ALL, TZ, TMPDIR } = agent;
    assert.deepEqual(buildEnvironment({ ...NOTHING, agent }), { HOME, USER, LOGNAME, LANG, LC_ALL, TZ, TMPDIR, PATH: '/bin' });
  });
  test('takes from the stub what the operator allows', () => {
    const forwarded = { SCW_EVENT: 'CLOSE', SCW_: '', OTHER: 'x', SC: 'y', xSCW_A: 'z' };
    assert.deepEqual(allowedOf(forwarded, ['SCW_*']), { SCW_EVENT: 'CLOSE', SCW_: '' });
    assert.deepEqual(allowedOf(forwarded, ['OTHER', 'SC']), { OTHER: 'x', SC: 'y' });
    assert.deepEqual(allowedOf(forwarded, []), {});
  });
  test('never takes from the stub what changes a program, or is ours, whatever is allowed', () => {
    const names = [
      ...['PATH', 'IFS', 'ENV', 'PS4', 'SHELLOPTS', 'BASH_ENV', 'BASHOPTS', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'DYLD_INSERT_LIBRARIES'],
      ...['NODE_OPTIONS', 'PYTHONPATH', 'PYTHONSTARTUP', 'PERL5LIB', 'PERL5OPT', 'RUBYOPT', 'RUBYLIB'],
      ...['MEDIATOR_RUN', 'MEDIATOR_STATE', 'MEDIATOR_ANYTHING', 'GCONV_PATH', 'GLIBC_TUNABLES', 'LOCPATH', 'JAVA_TOOL_OPTIONS'],
    ];
    assert.deepEqual(allowedOf(Object.fromEntries(names.map((name) => [name, 'x'])), ['*', ...names]), {});
  });
  test('is what the manifest says, over what the stub says, and ours over both', () => {
    const env = buildEnvironment({
      ...NOTHING,
      forwarded: { A: 'stub', B: 'stub', MEDIATOR_RUN: 'stub' },
      allowed: ['*'],
      manifest: { B: 'manifest', PATH: '/opt/bin', C: 'manifest', MEDIATOR_RUN: 'manifest' },
      secrets: { C: 'secret' },
      mediator: { MEDIATOR_RUN: 'ours' },
    });
    assert.deepEqual(env, { A: 'stub', B: 'manifest', C: 'secret', PATH: '/opt/bin', MEDIATOR_RUN: 'ours' });
  });
});

suite('secrets', () => {
  const folder = temporaryFolder({ after });

  test('are the files of their names, without one newline at the end', () => {
    writeFileSync(path.join(folder, 'A'), 'a b\n');
    writeFileSync(path.join(folder, 'B'), 'b\n\n');
    writeFileSync(path.join(folder, 'C'), '');
    assert.deepEqual(readSecrets(folder, ['A', 'B', 'C']), { A: 'a b', B: 'b\n', C: '' });
    assert.deepEqual(readSecrets(undefined, []), {});
  });
  test('that cannot be read refuse the run, and the message does not show what is in them', () => {
    mkdirSync(path.join(folder, 'FOLDER'));
    for (const [where, name] of [
      [folder, 'NONE'],
      [folder, 'FOLDER'],
      [undefined, 'A'],
    ] as const) {
      assert.throws(
        () => readSecrets(where, [name]),
        (error: unknown) => error instanceof Failure && error.code === 'cannot-start' && error.message.includes(name),
      );
    }
  });
});
