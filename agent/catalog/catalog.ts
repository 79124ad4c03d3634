/** The catalog: from a name to a script that may run. The disk is asked every time; what was read is kept as long as the file stays the same. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { checkFolder, filesBelow, statBelow, type OnUnreadable } from '../config/scripts-folder.ts';
import { Approvals } from './approvals.ts';
import { Contents, fingerprintOf, remember, settled } from './contents.ts';
import { commandFor, mayExecute } from './interpreter.ts';
import { readManifest, type Manifest, type ManifestFile } from './manifest.ts';
import { candidates, checkName, isScriptFile, quote, stemOf } from './names.ts';
import { checkPlace } from './trust.ts';

export interface Script {
  /** Path below the scripts folder, with extension. */
  name: string;
  /** Absolute path, symbolic links left as they are. */
  file: string;
  sha256: string;
  manifest: Manifest;
  /** Empty if there is no manifest. */
  manifestSha256: string;
  /** Changes whenever the script's file or its manifest was written or replaced. */
  version: string;
  /** Program and leading arguments; those of the invocation follow. */
  command: [program: string, ...args: string[]];
}

export interface CatalogOptions {
  root: string;
  searchPath: string;
  /** A file must have been left alone for this long, in milliseconds, before it is run. */
  settle: number;
  approvals: Approvals;
}

export class Catalog {
  readonly #options: CatalogOptions;
  readonly #contents: Contents;
  readonly #manifests = new Map<string, ManifestFile & { fingerprint: string }>();

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#contents = new Contents(options.settle);
  }

  get root(): string {
    return this.#options.root;
  }

  get approvals(): Approvals {
    return this.#options.approvals;
  }

  /** @throws Failure `cannot-start` while the folder cannot be read */
  checkFolder(): void {
    checkFolder(this.#options.root);
  }

  /** @throws Failure that says why nothing, or nothing safe, answers to the name, or nothing that was approved */
  async resolve(name: string): Promise<Script> {
    const script = await this.examine(this.find(name));
    this.approvals.check(script);
    return script;
  }

  /** Whether what was resolved is still what is on the disk: the last thing to ask before it is started. */
  isCurrent({ name, file, version }: Script): boolean {
    return versionOf(file, this.#manifestOf(name)) === version;
  }

  /** All files that are scripts, by path below the scripts folder, sorted. @throws Failure `cannot-start` for a folder that we may not read, or it is told */
  names(onUnreadable?: OnUnreadable): string[] {
    return filesBelow(this.#options.root, onUnreadable).filter((name) => this.#isScript(name));
  }

  /** The path of the file that answers to a name. @throws Failure */
  find(name: string): string {
    checkName(name);
    const found = candidates(name).filter((candidate) => this.#isScript(candidate));
    const [first, second] = found;
    if (first === undefined) {
      this.checkFolder();
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
    const stats = statBelow(path.join(this.#options.root, name), name);
    return stats?.isFile() === true && isScriptFile(name, stats.mode);
  }

  /** A file that {@link names} or {@link find} has named, approved or not. @throws Failure that says why it cannot run */
  async examine(name: string): Promise<Script> {
    const file = path.join(this.#options.root, name);
    checkPlace(this.#options.root, name);
    const { sha256, head, fingerprint } = await this.#contents.read(name, file);
    const { manifest, ...described } = await this.#manifest(name);
    const command = commandFor({
      file,
      head,
      executable: mayExecute(file),
      interpreter: manifest.interpreter,
      searchPath: this.#options.searchPath,
    });
    const version = `${fingerprint} ${described.fingerprint}`;
    return { name, file, sha256, manifest, manifestSha256: described.sha256, version, command };
  }

  /** Half a manifest can be a valid one, so that it has to settle as a script has. */
  async #manifest(script: string): Promise<ManifestFile & { fingerprint: string }> {
    const file = this.#manifestOf(script);
    const name = path.relative(this.#options.root, file);
    if (statBelow(file, name) === undefined) return { ...readManifest(file), fingerprint: '' };
    const known = this.#manifests.get(file);
    const fingerprint = fingerprintOf(await settled(name, file, this.#options.settle, known?.fingerprint));
    if (known?.fingerprint === fingerprint) return known;
    checkPlace(this.#options.root, name);
    const read = { ...readManifest(file), fingerprint };
    remember(this.#manifests, file, read);
    return read;
  }

  #manifestOf(name: string): string {
    return path.join(this.#options.root, `${stemOf(name)}.yaml`);
  }
}

/** The catalog of the scripts folder that agent.yaml names. */
export function openCatalog(config: Config): Catalog {
  return new Catalog({ root: config.scripts, searchPath: config.path, settle: config.settle, approvals: new Approvals(config) });
}

function versionOf(...files: string[]): string {
  return files
    .map((file) => statSync(file, { bigint: true, throwIfNoEntry: false }))
    .map((stats) => (stats === undefined ? '' : fingerprintOf(stats)))
    .join(' ');
}
