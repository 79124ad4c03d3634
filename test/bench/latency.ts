/** One call after another: how long until the caller has the exit code of `true`. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestAgent } from '../helpers/agent.ts';
import { timeCalls } from './call-timer.ts';
import type { Peers } from './peers.ts';
import type { Result, RowName } from './rows.ts';
import { median, ratio } from './statistics.ts';
import type { Workplace } from './workplace.ts';

export async function measureLatency(
  place: Workplace,
  { agent, peers, sidecar, rounds }: { agent: TestAgent; peers: Peers; sidecar?: string; rounds: number },
): Promise<Result[]> {
  const certificate = path.join(agent.dir, 'tls/cert.pem');
  const { host } = new URL(agent.urls.wss);
  const curl = `curl -s --cacert ${certificate}`;
  const get = `printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -verify_quiet -CAfile ${certificate} -connect ${host}`;
  const commands: Record<string, string> = {
    plain: `bash ${await writeStub(place, agent, 'plain', ['--url', agent.urls.ws, '--plaintext'])}`,
    tls: `bash ${await writeStub(place, agent, 'tls', ['--url', agent.urls.wss])}`,
    handshake: get,
    ...(peers.webhook && { hook: `${curl} ${peers.webhook.http}`, hooks: `${curl} ${peers.webhook.https}` }),
    ...(peers.ssh && { cold: `${peers.ssh.cold} /bin/true`, warm: `${peers.ssh.warm} /bin/true` }),
    ...(sidecar !== undefined && { sidecar }),
  };
  const samples = await timeCalls(commands, rounds);
  const row = (name: RowName, ours: string, theirs: string): Result[] => {
    const [a, b] = [samples[ours], samples[theirs]];
    if (a === undefined || b === undefined) return [];
    const { value, low, high } = ratio(a, b);
    return [{ name, value, low, high, ours: median(a), theirs: median(b) }];
  };
  return [
    ...row('plain_vs_webhook', 'plain', 'hook'),
    ...row('tls_vs_webhook', 'tls', 'hooks'),
    ...row('tls_vs_handshake', 'tls', 'handshake'),
    ...row('tls_vs_ssh', 'tls', 'cold'),
    ...row('tls_vs_ssh_warm', 'tls', 'warm'),
    ...row('sidecar_vs_ssh_warm', 'sidecar', 'warm'),
  ];
}

/** A stub with a script baked in, as `mediator-agent stub` prints it. @returns its file */
export async function writeStub(place: Workplace, agent: TestAgent, name: string, options: string[], script = 'true'): Promise<string> {
  const { code, stdout, stderr } = await agent.command(['stub'], ['--script', script, ...options]);
  if (code !== 0) throw new Error(stderr);
  const file = path.join(place.folder, `${name}.sh`);
  writeFileSync(file, stdout, { mode: 0o700 });
  return file;
}
