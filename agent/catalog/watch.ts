/** Tells the log what happens in the scripts folder. Only a hint (chokidar): every invocation asks the disk itself. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { watch } from 'chokidar';
import { Failure } from '../../protocol/failures.ts';
import { INTERPRETERS } from '../config/interpreters.ts';
import type { Logger } from '../log.ts';
import type { Catalog } from './catalog.ts';
import { stemOf } from './names.ts';

/** A burst of events (an editor's save, a `git pull`) is looked at once. */
const QUIET = 300;
/** Between two looks at whether the folder is there, in milliseconds. */
const INTERVAL = 5000;

/** Starts watching; the result stops it. */
export function watchScripts(root: string, catalog: Catalog, log: Logger): () => Promise<void> {
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(root, { ignoreInitial: true, ignored: (name) => path.basename(name).startsWith('.') });
  watcher.on('all', (event, file) => {
    if (event === 'addDir' || event === 'unlinkDir') return;
    changed.add(path.relative(root, file));
    clearTimeout(timer);
    timer = setTimeout(() => {
      const names = new Set(
        [...changed].map((name) => (path.extname(name) === '.yaml' || path.extname(name) in INTERPRETERS ? stemOf(name) : name)),
      );
      changed.clear();
      for (const name of names) void report(name, catalog, log);
    }, QUIET);
  });
  watcher.on('error', (error) => {
    log.warn({ err: error }, 'cannot watch the scripts folder; changes are still seen at the next call');
  });
  const stopLooking = watchFolder(root, catalog, log);
  return async () => {
    stopLooking();
    clearTimeout(timer);
    await watcher.close();
  };
}

/** Says once that the folder cannot be read, and once that it can again. Asynchronously: a network disk may take its time to answer. */
function watchFolder(root: string, catalog: Catalog, log: Logger): () => void {
  let fault: string | undefined;
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    const before = fault;
    fault = await access(`${root}/.`, constants.R_OK | constants.X_OK).then(
      () => undefined,
      () => faultOf(catalog),
    );
    if (before === undefined && fault !== undefined) log.error({ reason: fault }, 'the scripts folder cannot be read: calls are refused');
    if (before !== undefined && fault === undefined) log.info({ scripts: root }, 'the scripts folder can be read again');
    looking = false;
  };
  const timer = setInterval(() => void look(), INTERVAL).unref();
  return () => {
    clearInterval(timer);
  };
}

function faultOf(catalog: Catalog): string | undefined {
  try {
    catalog.checkFolder();
    return undefined;
  } catch (error) {
    return Failure.from(error).message;
  }
}

async function report(name: string, catalog: Catalog, log: Logger): Promise<void> {
  try {
    const { name: script, sha256 } = await catalog.resolve(name);
    log.info({ script, sha256 }, 'script changed and is ready');
  } catch (error) {
    const { code, message } = Failure.from(error);
    if (faultOf(catalog) !== undefined) return; // of no script in particular: watchFolder says it
    if (code === 'no-such-script' || code === 'invalid-name') log.info({ script: name }, 'no script answers to this name any more');
    else log.warn({ script: name, code, reason: message }, 'script changed and cannot run');
  }
}
