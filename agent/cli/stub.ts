/** `stub`: prints mediator.sh with its settings baked in, so that it runs by itself from any folder. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LIMITS } from '../../protocol/constants.ts';
import type { Address } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import type { Key } from '../config/keys.ts';
import { replaceFile } from '../config/replace-file.ts';
import { runTool } from '../process/execute.ts';
import { readKeys } from './configuration.ts';
import { cautionsOf } from './stub-cautions.ts';
import { UsageError, printable } from './terminal.ts';

const TEMPLATE = fileURLToPath(new URL('../../mediator/mediator.sh', import.meta.url));
const SETTINGS = /(?<=^# >>> settings\n).*?(?=^# <<< settings$)/ms;

export interface StubOptions {
  url?: string;
  order?: 'listed' | 'random';
  key?: string;
  script?: string | undefined;
  event?: string;
  host: 'securechange' | 'checkpoint' | 'generic';
  timeout?: string;
  plaintext?: boolean;
  failOpen?: boolean;
  failClosed?: boolean;
  output?: string;
}

export async function stub(config: Config, { output, ...options }: StubOptions): Promise<void> {
  const text = await stubText(config, options);
  if (output === undefined) process.stdout.write(text);
  else replaceFile(output, { mode: 0o600, keepOwner: false, busy: 'makes this stub' }, () => text);
  for (const caution of cautionsOf(config, chooseKey(config, options.key), options))
    process.stderr.write(`mediator-agent: the stub was made, but ${printable(caution)}\n`);
}

/** The whole file. @throws UsageError if the options contradict each other, or agent.yaml does not say where to connect, and with which key */
export async function stubText(config: Config, options: StubOptions): Promise<string> {
  if (options.script !== undefined && options.event !== undefined) throw new UsageError('give --script or --event, not both');
  const url = options.url ?? defaultUrl(config, options.plaintext === true);
  checkUrls(url);
  checkTimeout(options.timeout);
  const { id, secret } = chooseKey(config, options.key);
  const states = await keyStates({ id, secret }, url.split(' ')[0] ?? '');
  const settings = {
    BAKED_URL: url,
    BAKED_ORDER: options.order ?? 'listed',
    BAKED_KEY_ID: id,
    ...states,
    // On lines of its own, so that the stub is a PEM file that openssl and curl can read.
    BAKED_CA: /(^| )wss:/.test(url) && config.tls !== undefined ? `\n${readFileSync(config.tls.certificate, 'utf8').trim()}\n` : '',
    BAKED_SCRIPT: options.script ?? '',
    BAKED_EVENT: options.event ?? '',
    BAKED_HOST: options.host,
    BAKED_TIMEOUT: options.timeout ?? '',
    BAKED_PLAINTEXT: options.plaintext === true ? '1' : '',
    BAKED_TRANSPORT: 'auto',
    BAKED_ENV: config.environment.join(' '),
    BAKED_FAIL: failMode(options),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${quote(value)}\n`);
  return readFileSync(TEMPLATE, 'utf8').replace(SETTINGS, () => lines.join(''));
}

function defaultUrl({ listen, names }: Config, plaintext: boolean): string {
  const [scheme, address]: [string, Address | undefined] = plaintext ? ['ws', listen.plaintext[0]] : ['wss', listen.tls[0]];
  if (address === undefined)
    throw new UsageError(`agent.yaml has no listen.${plaintext ? 'plaintext' : 'tls'} address; name one there, or give --url`);
  if (address.port === 0) throw new UsageError('the port in agent.yaml is 0, chosen at each start; give --url');
  const anywhere = address.host === '0.0.0.0' || address.host === '::';
  const name = plaintext && !anywhere ? address.host : (names[0] ?? address.host);
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${address.port}`;
}

function checkUrls(text: string): void {
  const wrong = text.split(' ').find((url) => !/^wss?:\/\/(\[[0-9a-fA-F:.]+\]|[^\s/:[\]]+)(:\d{1,5})?(\/[!-~]*)?$/.test(url));
  if (wrong !== undefined) throw new UsageError(`--url "${wrong}" is not wss://NAME:PORT or ws://NAME:PORT`);
}

function checkTimeout(text = '1'): void {
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= LIMITS.timeoutSeconds) return;
  throw new UsageError(`--timeout ${text}: must be whole seconds, 1 to ${LIMITS.timeoutSeconds}`);
}

function chooseKey(config: Config, id: string | undefined): Key {
  const alive = readKeys(config).filter(({ expires = Infinity }) => Date.now() < expires);
  const key = id === undefined ? alive[0] : alive.find((candidate) => candidate.id === id);
  if (key === undefined)
    throw new UsageError(
      `${config.keys} has no key${id === undefined ? '' : ` "${id}"`} that has not expired; it has: ${alive.map((other) => other.id).join(', ')}`,
    );
  return key;
}

/**
 * States of SHA-256, computed by the stub's own code: those after the padded key, and the one after what is the same in every call of this URL.
 * The secret goes by stdin, never by a command line.
 */
async function keyStates({ id, secret }: { id: string; secret: string }, url: string): Promise<Record<string, string>> {
  const program = [
    ...['source "$1"', 'IFS= read -r secret', 'crypto_key_states "$secret"', 'KEY_ID=$2', 'url_parse "$3"', 'crypto_call GET'],
    String.raw`printf "%s\n" "$KEY_INNER" "$KEY_OUTER" "$CALL" "$CALL_STATE"`,
  ];
  const printed = await runTool('bash', ['-c', program.join('; '), 'bash', TEMPLATE, id, url], `${secret}\n`);
  const [, inner, outer, call, state] = /^([0-9a-f]{64})\n([0-9a-f]{64})\n(GET \S+)\n([0-9a-f]{64})\n$/.exec(printed) ?? [];
  if (inner === undefined || outer === undefined || call === undefined || state === undefined)
    throw new Error(`${TEMPLATE} did not compute the key's states`);
  return { BAKED_KEY_INNER: inner, BAKED_KEY_OUTER: outer, BAKED_CALL: call, BAKED_CALL_STATE: state };
}

function failMode({ failOpen, failClosed }: StubOptions): string {
  if (failOpen === true && failClosed === true) throw new UsageError('give --fail-open or --fail-closed, not both');
  if (failOpen === true) return 'open';
  return failClosed === true ? 'closed' : '';
}

/** As one word of POSIX sh (section 2.2.2, single quotes). */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
