/** What the front's log says of the certificate that it serves. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import pino from 'pino';
import { z } from 'zod';
import { ServedCertificate } from '../../../agent/front/certificate.ts';

const DAY = 86_400_000;
const LogLine = z.object({ level: z.number(), msg: z.string() });

/** The lines that are logged when a certificate is put in place that began so many days ago, and was made for 40. */
function saidAfter(t: TestContext, days: number): { level: number; msg: string }[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'certificate-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...ec, '-keyout', key, '-out', cert, '-days', '40', '-subj', '/CN=agent'], { stdio: 'ignore' });
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + days * DAY });
  const lines: { level: number; msg: string }[] = [];
  const log = pino({}, { write: (line) => void lines.push(LogLine.parse(JSON.parse(line))) });
  new ServedCertificate(log).replace({ cert: readFileSync(cert), key: readFileSync(key) });
  return lines;
}

suite('the certificate that is served', () => {
  test('is not spoken of while it is good for long', (t) => {
    assert.deepEqual(saidAfter(t, 1), []);
  });

  test('is warned of before it ends', (t) => {
    const [line] = saidAfter(t, 20);
    assert.equal(line?.level, 40);
    assert.match(line.msg, /ends soon/);
  });

  test('is an error once it has ended, and not said to end soon', (t) => {
    const [line] = saidAfter(t, 41);
    assert.equal(line?.level, 50);
    assert.match(line.msg, /has expired/);
  });
});
