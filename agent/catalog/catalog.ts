/** The catalog: from a name to a script that may run. The disk is asked every time; what was read is kept as long as the file stays the same. */
import { readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import { Contents, fingerprintOf, remember, settled } from './contents.ts';
import { commandFor } from './interpreter.ts';
import { readManifest, type Manifest } from './manifest.ts';
import { candidates, checkName, isScriptFile, quote, stemOf } from './names.ts';
import { checkTrust } from './trust.ts';

export interface Script {
  /** Path below the scripts folder, with extension. */
  name: string;
  /** Absolute path, symbolic links left as they are. */
  file: string;
  sha256: string;
  manifest: Manifest;
  /** Program and leading arguments; those of the invocation follow. */
  command: [program: string, ...args: string[]];
}

export interface CatalogOptions {
  root: string;
  searchPath: string;
  /** A file must have been left alone for this long, in milliseconds, before it is run. */
  settle: number;
}

export class Catalog {
  readonly #options: CatalogOptions;
  readonly #contents: Contents;
  readonly #manifests = new Map<string, { fingerprint: string; manifest: Manifest }>();

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#contents = new Contents(options.settle);
  }

  get root(): string {
    return this.#options.root;
  }

  /** @throws Failure that says why nothing, or nothing safe, answers to the name */
  async resolve(name: string): Promise<Script> {
    checkName(name);
    return this.#examine(this.#find(name));
  }

  /** All files that are scripts, by path below the scripts folder, sorted. */
  names(): string[] {
    const found = readdirSync(this.#options.root, { recursive: true, encoding: 'utf8' });
    return found.filter((name) => this.#isScript(name)).sort();
  }

  #find(name: string): string {
    const found = candidates(name).filter((candidate) => this.#isScript(candidate));
    const [first, second] = found;
    if (first === undefined) {
      throw new Failure('no-such-script', `no script answers to ${quote(name)}; "mediator-agent scripts list" shows those that do`);
    }
    if (second !== undefined) {
      throw new Failure(
        'ambiguous-script',
        `${found.join(' and ')} both answer to ${quote(name)}; call one by its full name, or remove the other`,
      );
    }
    return first;
  }

  #isScript(name: string): boolean {
    if (name.split('/').some((part) => part.startsWith('.'))) return false;
    const stats = statOf(path.join(this.#options.root, name));
    return stats?.isFile() === true && isScriptFile(name, stats.mode);
  }

  async #examine(name: string): Promise<Script> {
    const file = path.join(this.#options.root, name);
    this.#checkPlace(name);
    const { sha256, head, mode } = await this.#contents.read(name, file);
    const manifest = await this.#manifest(`${stemOf(name)}.yaml`);
    const command = commandFor({
      file,
      head,
      executable: (mode & 0o111) !== 0,
      interpreter: manifest.interpreter,
      searchPath: this.#options.searchPath,
    });
    return { name, file, sha256, manifest, command };
  }

  /** The file itself and, where it is a link, the folder that the link is in: both must be ours alone. */
  #checkPlace(name: string): void {
    const file = path.join(this.#options.root, name);
    const root = realpathSync(this.#options.root);
    const real = realpathSync(file);
    const folder = realpathSync(path.dirname(file));
    if (!`${real}/`.startsWith(`${root}/`) || !`${folder}/`.startsWith(`${root}/`)) {
      throw new Failure('outside-folder', `${name} is a symbolic link that leads out of the scripts folder; copy the file instead`);
    }
    checkTrust(root, real);
    if (folder !== path.dirname(real)) checkTrust(root, folder);
  }

  /** Half a manifest can be a valid one, so that it has to settle as a script has. */
  async #manifest(name: string): Promise<Manifest> {
    const file = path.join(this.#options.root, name);
    if (statOf(file) === undefined) return readManifest(file);
    const known = this.#manifests.get(file);
    const fingerprint = fingerprintOf(await settled(name, file, this.#options.settle, known?.fingerprint));
    if (known?.fingerprint === fingerprint) return known.manifest;
    this.#checkPlace(name);
    const manifest = readManifest(file);
    remember(this.#manifests, file, { fingerprint, manifest });
    return manifest;
  }
}

/** Undefined also for a name that is too long with one of the extensions, and for a link to itself: nothing answers to them. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
