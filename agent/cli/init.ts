/** `init`: a working installation in an empty folder. */
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Address, Name } from '../config/config.ts';
import { runTool } from '../process/execute.ts';
import { UsageError } from './terminal.ts';

const EXAMPLES = fileURLToPath(new URL('../../scripts', import.meta.url));
/** Three years: stubs pin the certificate, and a renewal means new stubs. */
const CERTIFICATE_DAYS = 1095;

export interface InitOptions {
  dir: string;
  listen: string;
  plaintext?: string;
  name: string[];
  /** Where these are, if not below `dir`. */
  state: string;
  socket?: string;
  credentials?: string;
}

export async function init(options: InitOptions): Promise<void> {
  const { dir, listen, plaintext, name, state } = options;
  const root = path.resolve(dir);
  if (existsSync(root) && (!statSync(root).isDirectory() || readdirSync(root).length > 0)) {
    throw new UsageError(`${root} is not an empty folder; name a new one, so that nothing is overwritten`);
  }
  const names = [...new Set([...name, ...(name.length > 0 ? [] : [hostname().toLowerCase(), 'localhost', '127.0.0.1'])])];
  checkOption('--listen', Address, listen);
  if (plaintext !== undefined) checkOption('--plaintext', Address, plaintext);
  for (const given of names) checkOption('--name', Name, given);
  for (const folder of ['', 'tls', 'scripts', ...(path.isAbsolute(state) ? [] : [state])])
    mkdirSync(path.join(root, folder), { recursive: true, mode: folder === 'scripts' ? 0o755 : 0o700 });
  await writeCertificate(root, names);
  writeKeys(path.join(root, 'keys.yaml'));
  copyExamples(path.join(root, 'scripts'));
  writeFileSync(path.join(root, 'agent.yaml'), configText(names, options), { mode: 0o600 });
  process.stdout.write(nextSteps(root));
}

/** By the schema that agent.yaml will be read with. */
function checkOption(option: string, schema: typeof Address | typeof Name, value: string): void {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new UsageError(`${option} ${value}: ${parsed.error.issues[0]?.message ?? ''}`);
}

async function writeCertificate(root: string, names: string[]): Promise<void> {
  const key = path.join(root, 'tls/key.pem');
  const certificate = path.join(root, 'tls/cert.pem');
  const subjects = names.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',');
  await runTool('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-sha256'],
    ...['-days', String(CERTIFICATE_DAYS), '-subj', `/CN=${(names[0] ?? 'mediator-agent').slice(0, 64)}`],
    ...['-addext', `subjectAltName=${subjects}`, '-addext', 'extendedKeyUsage=serverAuth', '-addext', 'keyUsage=critical,digitalSignature'],
    ...['-keyout', key, '-out', certificate],
  ]);
  chmodSync(key, 0o600);
}

function writeKeys(file: string): void {
  const text = `# Who may call what. "scripts" are globs over the names of scripts: close-*, checkpoint/**, **
keys:
  - id: stub-1
    secret: ${randomBytes(32).toString('base64url')}
    scripts: ["**"]
`;
  writeFileSync(file, text, { mode: 0o600 });
}

function copyExamples(folder: string): void {
  cpSync(EXAMPLES, folder, { recursive: true, filter: (source) => path.basename(source) !== '__pycache__' });
  for (const name of readdirSync(folder)) chmodSync(path.join(folder, name), /\.(yaml|md)$/.test(name) ? 0o644 : 0o755);
}

function configText(names: string[], { listen, plaintext, state, socket, credentials }: InitOptions): string {
  return `# The agent's configuration. Paths are relative to this file. After a change: mediator-agent check, then HUP (under systemd: systemctl reload).

# The names and addresses by which stubs dial this agent. A proof that was made for another name is refused.
names: ${JSON.stringify(names)}

# Where the front listens. plaintext is for stubs on this machine, for sidecars, and behind a proxy that does TLS.
listen:
  tls: [${JSON.stringify(listen)}]
  plaintext: [${plaintext === undefined ? '' : JSON.stringify(plaintext)}]

tls:
  certificate: tls/cert.pem
  key: tls/key.pem

# Keys with their secrets: mode 600. And the folder that scripts are dropped into.
keys: keys.yaml
scripts: scripts

# The journal, the spool, and the private folders of scripts. The socket is the runner's API: whoever may open it may use it.
state: ${state}
socket: ${socket ?? `${state}/runner.sock`}

# A folder with one file for each secret that manifests ask for. Without it, LoadCredential= of a unit for systemd may name them.
${credentials === undefined ? '# credentials: credentials' : `credentials: ${credentials}`}

# Bounds. A call beyond the queue is refused with "try later" (75).
limits:
  concurrency: 32
  queue: 512
  connections: 2048
  stdin: 64MiB

# For scripts whose manifest does not say otherwise.
defaults:
  timeout: 120s
  grace: 5s # between TERM and KILL
  output-limit: 1GiB

# How long runs may go on after the agent was told to stop, and how long a lost caller is awaited where on-caller-loss is kill.
drain: 30s
resume-window: 60s

# Variables that a stub may pass on to scripts; a * at the end stands for any rest.
environment: [SCW_*]

# The PATH of scripts. Its last folder is that of the Node that runs the agent.
path: /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${path.dirname(process.execPath)}

# A script that was changed must have been left alone for this long before it runs: half a copy never does.
settle: 500ms

log: info # debug, info, warn, error
`;
}

function nextSteps(root: string): string {
  const config = path.join(root, 'agent.yaml');
  return `A mediator agent in ${root}:
  agent.yaml     the configuration; every field has a comment
  keys.yaml      one key, stub-1, that may call every script
  tls/           a certificate for ${CERTIFICATE_DAYS} days, and its key
  scripts/       examples; drop your own beside them

Next:
  mediator-agent serve --config ${config}
  mediator-agent stub --config ${config} > mediator.sh
`;
}
