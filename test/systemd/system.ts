/** The machine that systemd has booted, as an administrator sees it. */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { soon, until } from '../helpers/wait.ts';

export type Unit = 'mediator-front' | 'mediator-runner';

/** For what waits for systemd. */
export const PATIENCE = 60_000;

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a line of bash to its end. */
export function sh(line: string): Promise<Result> {
  return new Promise((resolve) => {
    execFile('/bin/bash', ['-c', line], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
    });
  });
}

/** The same, and it must succeed. Returns what it printed, without the last newline. */
export async function must(line: string): Promise<string> {
  const { code, stdout, stderr } = await sh(line);
  assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
  return stdout.trimEnd();
}

/** A property of a unit, by systemctl show. */
export function show(unit: Unit, property: string): Promise<string> {
  return must(`systemctl show --value --property=${property} ${unit}`);
}

export async function pidOf(unit: Unit): Promise<number> {
  return Number(await show(unit, 'MainPID'));
}

/** Executes a command in the sandbox of the front, with the settings of its unit and these. Returns what it said. */
export async function inSandbox(command: string, ...settings: string[]): Promise<string> {
  const lines = read('/usr/local/lib/systemd/system/mediator-front.service').split('\n');
  const sandbox = lines.filter((line) => !/^(Type|Exec(Start|StartPost|Reload)|Restart\w*|Watchdog\w*)=/.test(line));
  const own = [
    '[Service]',
    'Type=oneshot',
    `ExecStart=-${command}`,
    'StandardOutput=file:/root/said',
    'StandardError=inherit',
    ...settings,
  ];
  writeFileSync('/run/systemd/system/sandboxed.service', [...sandbox, ...own, ''].join('\n'));
  writeFileSync('/root/said', '');
  await must('systemctl daemon-reload && systemctl start sandboxed');
  return read('/root/said');
}

/** Waits until a unit is active with another main process than this one. */
export async function startedAgain(unit: Unit, before: number): Promise<number> {
  return until(
    `${unit} is started again`,
    async () => {
      const pid = await pidOf(unit);
      return pid !== 0 && pid !== before && (await show(unit, 'ActiveState')) === 'active' ? pid : undefined;
    },
    PATIENCE,
  );
}

/** Messages of a unit that match, since it was installed, as `priority message`. */
export async function journal(unit: Unit, pattern: string): Promise<string[]> {
  const text = await must(`journalctl --unit=${unit} --output=json --quiet --no-pager --grep='${pattern}' || true`);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const entry: unknown = JSON.parse(line);
      assert.ok(typeof entry === 'object' && entry !== null && 'PRIORITY' in entry && 'MESSAGE' in entry);
      return `${String(entry.PRIORITY)} ${String(entry.MESSAGE)}`;
    });
}

/** Puts a script into the installed scripts folder, as an administrator would; it has been left alone for long enough when this returns. */
export async function script(name: string, source: string): Promise<void> {
  const file = `/etc/mediator/scripts/${name}`;
  writeFileSync(file, source, { mode: 0o755 });
  await until(`${name} is ready`, async () => (await sh(`mediator-agent scripts list | grep -E '^${name} .*ready'`)).code === 0);
}

/** Makes a stub for SecureChange that calls a script. Returns its file. */
export async function stubFor(name: string): Promise<string> {
  const file = `/root/${name}.stub`;
  await must(`mediator-agent stub --host securechange --script ${name} > ${file}`);
  return file;
}

/** A stub that was called, and has not ended perhaps. */
export class Call {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  stdout = '';
  stderr = '';

  constructor(stub: string, ticket: number, event = 'CLOSE') {
    this.#child = spawn('/bin/bash', [stub], { env: { PATH: '/usr/bin:/bin', SCW_EVENT: event }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#closed = once(this.#child, 'close');
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdin?.end(ticketXml(ticket));
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (this.stdout += chunk));
    this.#child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
  }

  async printed(text: string): Promise<void> {
    await until(`the stub prints ${text}`, () => {
      assert.ok(this.#child.exitCode === null || this.stdout.includes(text), `the stub ended: ${this.stderr}`);
      return this.stdout.includes(text);
    });
  }

  async end(): Promise<Result> {
    await soon('the end of the stub', this.#closed, 2 * PATIENCE);
    return { code: this.#child.exitCode ?? -1, stdout: this.stdout, stderr: this.stderr };
  }
}

function ticketXml(id: number): string {
  return `<ticket_info><id>${id}</id><subject>Rule for ${id}</subject><updateDate>17${String(id).padStart(11, '0')}</updateDate></ticket_info>`;
}

export function read(file: string): string {
  return readFileSync(file, 'utf8');
}
