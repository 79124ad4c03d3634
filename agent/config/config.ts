/** `agent.yaml`: its schema with all defaults, and the way it is read. Parsed once; every fault is reported at once. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { LOG_LEVELS } from '../log.ts';
import { Address, Name, isLoopback } from './address.ts';
import { checkMode } from './modes.ts';
import { SmtpServer } from './smtp.ts';
import { Age, Duration, Size } from './units.ts';
import { readYamlFile, type Problem } from './yaml-file.ts';

/** Linux: sun_path holds 108 bytes with the closing NUL. */
const SOCKET_PATH_MAX = 107;

const variablePattern = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\*?$/, 'is not a variable name, optionally with * at its end');

const AgentYaml = z.strictObject({
  names: z.array(Name).min(1, 'needs at least one name by which stubs dial this agent'),
  listen: z
    .strictObject({ tls: z.array(Address).default([]), plaintext: z.array(Address).default([]) })
    .refine(({ tls, plaintext }) => tls.length + plaintext.length > 0, 'needs at least one address under tls or plaintext'),
  /** `clients`: certificates of those who may connect, or of their authorities; without it, the key alone decides. */
  tls: z.strictObject({ certificate: z.string(), key: z.string(), clients: z.string().optional() }).optional(),
  /** Health, metrics and the page; without it there is none of them. */
  admin: z.strictObject({ listen: Address, 'token-file': z.string().default('admin-token') }).optional(),
  /** Makes the front a sidecar: calls go to this agent, as those of the key in the file `key`, `ID:SECRET`. */
  upstream: z
    .strictObject({
      url: z.string().regex(/^wss:\/\/(\[[0-9a-fA-F:.]+\]|[^\s/:[\]]+)(:\d{1,5})?$/, 'is not wss://NAME:PORT'),
      key: z.string(),
      ca: z.string(),
    })
    .optional(),
  keys: z.string().default('keys.yaml'),
  scripts: z.string().default('scripts'),
  'require-approval': z.boolean('must be true or false').default(false),
  /** Where `scripts approve` writes the hashes that may run. */
  approvals: z.string().default('approvals.json'),
  state: z.string().default('state'),
  socket: z.string().default('state/runner.sock'),
  /** A folder of the front's own; by default the unit's StateDirectory, or `front` below `state`. */
  nonces: z.string().optional(),
  credentials: z.string().optional(),
  smtp: z.record(z.string(), SmtpServer).default({}),
  limits: z
    .strictObject({
      concurrency: z.int().min(1).max(4096).default(32),
      queue: z.int().min(0).max(65_536).default(512),
      connections: z.int().min(1).max(65_536).default(2048),
      /** Connections that have not shown a right proof, yet. */
      handshakes: z.int().min(1).max(65_536).default(512),
      stdin: Size.default(64 * 1024 ** 2),
      /** Less than this on the disk of `state`, and new runs are refused. */
      'disk-free': Size.default(256 * 1024 ** 2),
    })
    .prefault({}),
  /** Of runs that have ended: their stdin and output, and their rows in the journal. Of calls that were refused: their rows. */
  retention: z
    .strictObject({
      'spool-age': Age.default(30 * 86_400_000),
      'spool-size': Size.default(10 * 1024 ** 3),
      'journal-age': Age.default(400 * 86_400_000),
      'journal-runs': z.int().min(1).default(1_000_000),
      'refused-age': Age.default(30 * 86_400_000),
      'refused-calls': z.int().min(1).default(10_000),
    })
    .prefault({}),
  defaults: z
    .strictObject({
      timeout: Duration.default(120_000),
      grace: Duration.default(5000),
      'output-limit': Size.default(1024 ** 3),
    })
    .prefault({}),
  drain: Duration.default(30_000),
  'resume-window': Duration.default(60_000),
  environment: z.array(variablePattern).default(['SCW_*']),
  settle: Duration.default(500),
  path: z.string().default('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'),
  log: z.enum(LOG_LEVELS).default('info'),
});

/** The configuration with absolute paths. Durations are milliseconds, sizes are bytes. */
export type Config = z.output<typeof AgentYaml> & { file: string };

/** `keys`: where the keys are, if a file with faults says that much. */
type LoadedConfig = { ok: true; value: Config } | { ok: false; problems: Problem[]; keys: string | undefined };

export function loadConfig(file: string): LoadedConfig {
  const absolute = path.resolve(file);
  const parsed = statSync(absolute, { throwIfNoEntry: false })?.isFile() === true ? readYamlFile(absolute, AgentYaml) : missing(absolute);
  const mode = checkMode(absolute, 0o022, 'others may change which programs run', 'go-w');
  if (!parsed.ok) return { ok: false, problems: [...parsed.problems, ...mode], keys: keysIn(absolute, parsed.data) };
  const config = withAbsolutePaths(absolute, parsed.value);
  const crossed = crossCheck(config).map(([field, message]) => ({ file: absolute, line: 0, field, message }));
  const problems = [...crossed, ...mode];
  return problems.length === 0 ? { ok: true, value: config } : { ok: false, problems, keys: config.keys };
}

function keysIn(file: string, data: unknown): string | undefined {
  const { keys } = z.object({ keys: AgentYaml.shape.keys }).safeParse(data).data ?? {};
  return keys === undefined ? undefined : path.resolve(path.dirname(file), keys);
}

function missing(file: string): { ok: false; problems: Problem[]; data?: unknown } {
  const message = 'is not there, or no file; name yours with --config FILE, or make one: mediator-agent init --dir FOLDER';
  return { ok: false, problems: [{ file, line: 0, field: '', message }] };
}

function withAbsolutePaths(file: string, config: z.output<typeof AgentYaml>): Config {
  const from = (name: string): string => path.resolve(path.dirname(file), name);
  return {
    ...config,
    file,
    keys: from(config.keys),
    scripts: from(config.scripts),
    approvals: from(config.approvals),
    state: from(config.state),
    socket: from(config.socket),
    ...(config.nonces === undefined ? {} : { nonces: from(config.nonces) }),
    ...(config.credentials === undefined ? {} : { credentials: from(config.credentials) }),
    ...(config.admin === undefined ? {} : { admin: { ...config.admin, 'token-file': from(config.admin['token-file']) } }),
    ...(config.upstream === undefined
      ? {}
      : { upstream: { ...config.upstream, key: from(config.upstream.key), ca: from(config.upstream.ca) } }),
    ...(config.tls === undefined ? {} : { tls: tlsFrom(config.tls, from) }),
  };
}

function tlsFrom({ certificate, key, clients }: NonNullable<Config['tls']>, from: (name: string) => string): NonNullable<Config['tls']> {
  return { certificate: from(certificate), key: from(key), ...(clients === undefined ? {} : { clients: from(clients) }) };
}

function crossCheck(config: Config): [field: string, message: string][] {
  const problems: [string, string][] = [];
  if (config.listen.tls.length > 0 && config.tls === undefined) {
    problems.push(['tls', 'needs certificate and key, because listen.tls has an address']);
  }
  if (config.admin !== undefined && !isLoopback(config.admin.listen) && config.tls === undefined) {
    problems.push(['admin.listen', 'is not a loopback address, so that it needs tls: certificate and key']);
  }
  if (Buffer.byteLength(config.socket) > SOCKET_PATH_MAX) {
    problems.push(['socket', `${config.socket} is longer than ${SOCKET_PATH_MAX} bytes, the limit of Linux; name a shorter path`]);
  }
  if (Buffer.byteLength(config.state) > SOCKET_PATH_MAX - '/keeper.sock'.length) {
    problems.push(['state', `${config.state} is too long for a socket in it (${SOCKET_PATH_MAX} bytes); name a shorter path`]);
  }
  return problems;
}
