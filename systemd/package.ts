/**
 * `npm run package`: makes dist/mediator-agent-VERSION.tar.gz, all that a host needs besides Node. The same commit gives the same bytes.
 * The agent is a few files in one folder; the rest lies where it lies in the repository, so that both find it by the same relative paths.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build, type BuildOptions, type Metafile } from 'esbuild';
import { z } from 'zod';

const ROOT = path.resolve(import.meta.dirname, '..');
const DIST = path.resolve(ROOT, process.env.MEDIATOR_DIST ?? 'dist');
/** Two folders deep, like every source file that names another file of the installation relative to itself. */
const BUNDLE = 'agent/bundle/mediator-agent.js';
/** Every start of a script copies the page tables of what the keeper has in memory. So this file has nothing that it does not need, and BUNDLE loads the rest of the agent where it is needed. */
const KEEPER = 'agent/bundle/keeper.js';
/** ESM has no `require`, and CommonJS packages in the bundle ask it for Node's own modules. */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** The page of the admin listener: its code becomes one file, the rest is taken as it is. */
const PAGE = 'agent/admin/page';

const FILES = [
  'README.md',
  'LICENSE',
  'container',
  'docs',
  'mediator',
  'protocol/README.md',
  'scripts',
  'systemd',
  `${PAGE}/index.html`,
  `${PAGE}/style.css`,
  `${PAGE}/icon.svg`,
];
/** Found at run time: TypeScript scripts are run by tsx where it is installed, else by Node alone. */
const EXTERNAL = ['tsx'];

const { version, engines } = z
  .object({ version: z.string(), engines: z.object({ node: z.string() }) })
  .parse(JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')));
const name = `mediator-agent-${version}`;
const target = path.join(DIST, name);

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const file of FILES) copy(file, file);
rmSync(path.join(target, 'systemd/package.ts'));
copy('systemd/install.sh', 'install.sh');
rmSync(path.join(target, 'systemd/install.sh'));
const agent = await build({
  ...bundled('agent/main.ts', BUNDLE),
  splitting: true,
  plugins: [
    {
      name: 'the keeper is a file of its own',
      setup(esbuild) {
        esbuild.onResolve({ filter: /^\.\/keeper\/main\.ts$/ }, () => ({ path: `./${path.basename(KEEPER)}`, external: true }));
      },
    },
  ],
});
const keeper = await build(bundled('agent/keeper/main.ts', KEEPER));
checkDepth(agent.metafile);
checkDepth(keeper.metafile);
const page = await build({
  entryPoints: [path.join(ROOT, PAGE, 'app.js')],
  outfile: path.join(target, PAGE, 'app.js'),
  absWorkingDir: ROOT,
  bundle: true,
  format: 'esm',
  preserveSymlinks: true,
  metafile: true,
  legalComments: 'none',
  logLevel: 'warning',
});
writeFileSync(
  path.join(target, 'THIRD-PARTY-LICENSES'),
  licences({ ...agent.metafile, inputs: { ...agent.metafile.inputs, ...keeper.metafile.inputs, ...page.metafile.inputs } }),
);
writeFileSync(
  path.join(target, 'package.json'),
  `${JSON.stringify({ name: 'mediator-agent', version, type: 'module', engines }, null, 2)}\n`,
);
for (const file of filesBelow(target)) chmodSync(path.join(target, file), isProgram(file) ? 0o755 : 0o644);
writeFileSync(path.join(target, 'SHA256SUMS'), checksums(target));
pack();

/** How esbuild makes a file of a program. */
function bundled(entry: string, file: string) {
  return {
    entryPoints: { [path.basename(file, '.js')]: path.join(ROOT, entry) },
    outdir: path.join(target, path.dirname(file)),
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22.22',
    banner: { js: BANNER },
    define: { 'process.env.MEDIATOR_CRASH_FILE': 'undefined' }, // tests alone may ask for a crash: agent/process/crash-point.ts
    external: EXTERNAL,
    preserveSymlinks: true,
    metafile: true,
    legalComments: 'none', // THIRD-PARTY-LICENSES has them whole
    logLevel: 'warning',
  } as const satisfies BuildOptions;
}

/** Tests, editors and Python leave things beside the sources; git knows what belongs there. */
function copy(from: string, to: string): void {
  const listed = execFileSync('git', ['ls-files', '-z', '--', from], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
  if (listed.length === 0) throw new Error(`${from} has no file that git knows`);
  for (const file of listed) cpSync(path.join(ROOT, file), path.join(target, to, path.relative(from, file)));
}

/** A file that says `../../` in the sources must not mean another folder in the bundle. */
function checkDepth({ inputs }: Metafile): void {
  for (const file of Object.keys(inputs)) {
    if (file.includes('node_modules/') || !readFileSync(path.join(ROOT, file), 'utf8').includes('import.meta')) continue;
    if (file.split('/').length !== BUNDLE.split('/').length) throw new Error(`${file} uses import.meta, and is not as deep as ${BUNDLE}`);
  }
}

/** The licences of every package in the bundle, by name. */
function licences({ inputs }: Metafile): string {
  const folders = new Set(Object.keys(inputs).flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  return [...folders].sort().map(licenceOf).join('\n');
}

function licenceOf(folder: string): string {
  const about = z.object({ name: z.string(), version: z.string(), license: z.string(), author: z.unknown().optional() });
  const parsed = about.parse(JSON.parse(readFileSync(path.join(ROOT, folder, 'package.json'), 'utf8')));
  const file = readdirSync(path.join(ROOT, folder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  const text =
    file === undefined
      ? `The package has no licence file. It says: licence ${parsed.license}, author ${JSON.stringify(parsed.author ?? 'not named')}.`
      : readFileSync(path.join(ROOT, folder, file), 'utf8').trim();
  const line = '='.repeat(100);
  return `${line}\n${parsed.name} ${parsed.version} (${parsed.license})\n${line}\n\n${text}\n`;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => statSync(path.join(folder, file)).isFile())
    .sort();
}

/** The agent itself, shell files, and whatever git has as executable. */
function isProgram(file: string): boolean {
  return file === BUNDLE || (statSync(path.join(target, file)).mode & 0o100) !== 0;
}

/** As `sha256sum --check` reads it. */
function checksums(folder: string): string {
  const lines = filesBelow(folder).map((file) => `${sha256(path.join(folder, file))}  ${file}\n`);
  return lines.join('');
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** With GNU tar: order, owners and times must not depend on who packs. */
function pack(): void {
  const archive = path.join(DIST, `${name}.tar.gz`);
  const time = process.env.SOURCE_DATE_EPOCH ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }).trim();
  const sorted = [
    '--sort=name',
    `--mtime=@${time}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--format=ustar',
    '--mode=go=rX,u+rw,a-s',
  ];
  execFileSync('tar', [...sorted, '--use-compress-program=gzip -n -9', '-C', DIST, '-cf', archive, name]);
  writeFileSync(`${archive}.sha256`, `${sha256(archive)}  ${name}.tar.gz\n`);
  process.stdout.write(`${archive}\n`);
}
