/**
 * What people use today, each configured as its own documentation recommends, on loopback, running the same `true`.
 * A peer whose program is not installed is undefined, and its rows are skipped with a line.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../helpers/command.ts';
import { findProgram, freePort, type Workplace } from './workplace.ts';

export interface Peers {
  /** URLs of the hook that runs `true`. */
  webhook?: { http: string; https: string };
  /** URL of a socket that runs `true`. */
  websocketd?: string;
  ssh?: Ssh;
}

export interface Ssh {
  /** bash code, up to the remote command. */
  cold: string;
  warm: string;
}

const TRUE = '/bin/true';

/** @param tls files of the agent's certificate and key: everybody shakes hands with the same one */
export async function startPeers(place: Workplace, tls: { certificate: string; key: string }): Promise<Peers> {
  const [webhook, websocketd, ssh] = [await startWebhook(place, tls), await startWebsocketd(place), await startSsh(place)];
  return { ...(webhook && { webhook }), ...(websocketd !== undefined && { websocketd }), ...(ssh && { ssh }) };
}

/** adnanh/webhook; output in the response is how its documentation makes a caller wait for the end of the command. */
async function startWebhook(place: Workplace, tls: { certificate: string; key: string }): Promise<Peers['webhook']> {
  const program = findProgram('webhook');
  if (program === undefined) return undefined;
  const hooks = path.join(place.folder, 'hooks.json');
  writeFileSync(hooks, JSON.stringify([{ id: 'true', 'execute-command': TRUE, 'include-command-output-in-response': true }]));
  const [plain, secure] = [await freePort(), await freePort()];
  const command = (port: number): string[] => [program, '-hooks', hooks, '-ip', '127.0.0.1', '-port', String(port)];
  await place.server(command(plain), plain);
  await place.server([...command(secure), '-secure', '-cert', tls.certificate, '-key', tls.key], secure);
  return { http: `http://127.0.0.1:${plain}/hooks/true`, https: `https://127.0.0.1:${secure}/hooks/true` };
}

async function startWebsocketd(place: Workplace): Promise<string | undefined> {
  const program = findProgram('websocketd');
  if (program === undefined) return undefined;
  const port = await freePort();
  await place.server([program, '--address=127.0.0.1', `--port=${port}`, '--loglevel=fatal', TRUE], port);
  return `ws://127.0.0.1:${port}/`;
}

/** sshd as Debian configures it, on a port of its own, for a user without rc files. The user exists in this mount namespace only. */
async function startSsh(place: Workplace): Promise<Ssh | undefined> {
  const program = findProgram('sshd');
  if (program === undefined || findProgram('ssh') === undefined || process.getuid?.() !== 0) return undefined;
  const dir = path.join(place.folder, 'ssh');
  const home = path.join(dir, 'home');
  mkdirSync(home, { recursive: true });
  for (const name of ['host', 'user']) await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(dir, name)]);
  chmodSync(place.folder, 0o711); // sshd reads the keys as the user
  copyFileSync(path.join(dir, 'user.pub'), path.join(dir, 'authorized'));
  writeFileSync(path.join(dir, 'passwd'), `${readFileSync('/etc/passwd', 'utf8')}bench:x:61234:61234::${home}:/bin/bash\n`, {
    mode: 0o644,
  });
  writeFileSync(path.join(dir, 'shadow'), `${readFileSync('/etc/shadow', 'utf8')}bench:*:19000:0:99999:7:::\n`, { mode: 0o600 });
  const port = await freePort();
  const settings = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${dir}/host`,
    `AuthorizedKeysFile ${dir}/authorized`,
    'StrictModes no',
    'PidFile none',
    'UsePAM yes',
    'PasswordAuthentication no',
  ];
  writeFileSync(path.join(dir, 'sshd_config'), `${settings.join('\n')}\n`);
  const mounts = ['passwd', 'shadow'].map((name) => `mount --bind ${dir}/${name} /etc/${name}`).join(' && ');
  const start = `${mounts} && mkdir -p /run/sshd && exec ${program} -D -e -f ${dir}/sshd_config`;
  await place.server(['unshare', '--mount', '--', '/bin/sh', '-c', start], port);
  const options = [
    ...['-F', 'none', '-i', `${dir}/user`, '-p', String(port), '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
    ...['-o', `UserKnownHostsFile=${dir}/known_hosts`, '-o', 'StrictHostKeyChecking=accept-new', '-o', 'LogLevel=ERROR'],
  ];
  const master = ['-o', `ControlPath=${dir}/master`];
  const opened = await runCommand('ssh', [
    ...options,
    ...master,
    '-o',
    'ControlMaster=yes',
    '-o',
    'ControlPersist=yes',
    'bench@127.0.0.1',
    'true',
  ]);
  if (opened.code !== 0) throw new Error(`ssh does not work: ${opened.stderr}`);
  place.atEnd(() => runCommand('ssh', [...options, ...master, '-O', 'exit', 'bench@127.0.0.1']));
  const command = (more: string[]): string => ['ssh', ...options, ...more, 'bench@127.0.0.1'].join(' ');
  return { cold: command(['-o', 'ControlPath=none']), warm: command(master) };
}
