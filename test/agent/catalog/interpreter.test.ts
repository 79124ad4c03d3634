import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { commandFor } from '../../../agent/catalog/interpreter.ts';
import { Failure } from '../../../protocol/failures.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

suite('the interpreter', () => {
  const folder = temporaryFolder({ after });
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['python3', 'bash', 'perl', 'ruby', 'other']) writeFileSync(path.join(bin, name), '', { mode: 0o755 });
  writeFileSync(path.join(bin, 'not-executable'), '', { mode: 0o644 });
  const inBin = (name: string): string => path.join(bin, name);

  interface Case {
    file?: string;
    head?: string;
    executable?: boolean;
    interpreter?: string[];
  }

  function command({ file = '/s/x', head = '', executable = true, interpreter }: Case): string[] {
    return commandFor({ file, head: Buffer.from(head, 'latin1'), executable, interpreter, searchPath: bin });
  }

  function missing(given: Case): void {
    assert.throws(
      () => command(given),
      (error: unknown) => error instanceof Failure && error.code === 'missing-interpreter',
    );
  }

  test('of a file that is executable and has a shebang is the kernel’s business', () => {
    for (const head of [
      '#!/bin/bash\n',
      '#! /bin/bash -e\n',
      '#!/bin/bash',
      '#!/usr/bin/env python3\n',
      '#!/usr/bin/env -S A=b python3 -u\n',
    ]) {
      assert.deepEqual(command({ file: '/s/x.py', head }), ['/s/x.py']);
    }
  });
  test('of a file that has a shebang and is not executable gets what the kernel would give it', () => {
    assert.deepEqual(command({ head: '#!/bin/bash\n', executable: false }), ['/bin/bash', '/s/x']);
    assert.deepEqual(command({ head: '#!/bin/bash -e -u \n', executable: false }), ['/bin/bash', '-e -u', '/s/x']);
    assert.deepEqual(command({ head: '#!/usr/bin/env python3\n', executable: false }), ['/usr/bin/env', 'python3', '/s/x']);
  });
  test('of a file without a shebang is that of its extension, whether or not it is executable', () => {
    for (const executable of [true, false]) {
      assert.deepEqual(command({ file: '/s/x.py', head: 'print(1)', executable }), [inBin('python3'), '/s/x.py']);
      assert.deepEqual(command({ file: '/s/x.pl', executable }), [inBin('perl'), '/s/x.pl']);
      assert.deepEqual(command({ file: '/s/x.rb', executable }), [inBin('ruby'), '/s/x.rb']);
      assert.deepEqual(command({ file: '/s/x.mjs', executable }), [process.execPath, '/s/x.mjs']);
      assert.equal(command({ file: '/s/x.ts', executable })[0], process.execPath);
      assert.equal(command({ file: '/s/x.ts', executable }).length, 3);
    }
  });
  test('of a file without shebang and known extension is bash, as Check Point does it', () => {
    assert.deepEqual(command({ file: '/s/x' }), [inBin('bash'), '/s/x']);
    assert.deepEqual(command({ file: '/s/x.constructor' }), [inBin('bash'), '/s/x.constructor']);
    assert.deepEqual(command({ file: '/s/x', head: '#!\n' }), [inBin('bash'), '/s/x']);
  });
  test('of a program is the system', () => {
    assert.deepEqual(command({ head: '\x7fELF\x02\x01' }), ['/s/x']);
  });
  test('in the manifest overrides everything', () => {
    assert.deepEqual(command({ head: '#!/bin/bash\n', interpreter: ['other', '-x'] }), [inBin('other'), '-x', '/s/x']);
    assert.deepEqual(command({ head: '#!/bin/bash\r\n', interpreter: [inBin('python3')] }), [inBin('python3'), '/s/x']);
  });
  test('in the manifest as a relative path is looked for from the script’s folder', () => {
    assert.deepEqual(command({ file: `${folder}/x.py`, interpreter: ['bin/python3'] }), [inBin('python3'), `${folder}/x.py`]);
    missing({ file: `${folder}/deeper/x.py`, interpreter: ['bin/python3'] });
  });
  test('that does not exist or is not executable is missing', () => {
    for (const head of [
      '#!/nowhere/sh\n',
      '#!/usr/bin/env nowhere\n',
      '#!/usr/bin/env -S nowhere -x\n',
      `#!${inBin('not-executable')}\n`,
      `#!${bin}\n`,
    ]) {
      missing({ head });
      missing({ head, executable: false });
    }
    missing({ interpreter: ['nowhere'] });
    missing({ interpreter: [inBin('not-executable')] });
    chmodSync(inBin('ruby'), 0o644);
    missing({ file: '/s/x.rb' });
  });
  test('behind a Windows line end is missing, also when it is env that looks for it', () => {
    for (const head of ['#!/bin/bash\r\n', '#!/bin/bash -e\r\n', '#!/usr/bin/env python3\r\n', '#!/bin/bash\r']) missing({ head });
  });
});
