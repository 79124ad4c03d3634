/** `init`: a working installation in an empty folder. */
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeToken } from '../admin/token.ts';
import { Address, Name } from '../config/address.ts';
import { runTool } from '../process/execute.ts';
import { agentYaml, type Places } from './agent-yaml.ts';
import { smartConsoleFingerprint } from './fingerprint.ts';
import { UsageError } from './terminal.ts';

const EXAMPLES = fileURLToPath(new URL('../../scripts', import.meta.url));
/** Three years: stubs pin the certificate, and a renewal means new stubs. */
const CERTIFICATE_DAYS = 1095;

export interface InitOptions extends Places {
  dir: string;
  name: string[];
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
  checkOption('--admin', Address, options.admin);
  for (const given of names) checkOption('--name', Name, given);
  for (const folder of ['', 'tls', 'scripts', ...(path.isAbsolute(state) ? [] : [state])])
    mkdirSync(path.join(root, folder), { recursive: true, mode: folder === 'scripts' ? 0o755 : 0o700 });
  await writeCertificate(root, names);
  writeKeys(path.join(root, 'keys.yaml'));
  writeToken(path.join(root, 'admin-token'));
  copyExamples(path.join(root, 'scripts'));
  writeFileSync(path.join(root, 'agent.yaml'), agentYaml(names, options), { mode: 0o600 });
  process.stdout.write(nextSteps(root, options.admin));
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
  const text = `# Who may call what. "mediator-agent keys" changes this file, and so may you; comments stay, and a change counts from the next call on.
# scripts: globs over their names (close-*, checkpoint/**, **); and where they are given, networks: [10.1.0.0/16, 2001:db8::/32],
# hosts: [securechange], events: [CLOSE, TEST], expires: 2027-01-31. Secrets under "previous" were replaced, and work until they expire.
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

function nextSteps(root: string, admin: string): string {
  const config = path.join(root, 'agent.yaml');
  return `A mediator agent in ${root}:
  agent.yaml     the configuration; every field has a comment
  keys.yaml      one key, stub-1, that may call every script
  admin-token    opens the web page, http://${admin}/
  tls/           a certificate for ${CERTIFICATE_DAYS} days, and its key; for SmartConsole:
                 ${smartConsoleFingerprint(path.join(root, 'tls/cert.pem'))}
  scripts/       examples; drop your own beside them

Next:
  mediator-agent serve --config ${config}
  mediator-agent stub --config ${config} --output mediator.sh
`;
}
