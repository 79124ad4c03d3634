/** Tells the log what happens in the scripts folder. Only a hint (chokidar): every invocation asks the disk itself. */
import path from 'node:path';
import { watch } from 'chokidar';
import { Failure } from '../../protocol/failures.ts';
import { INTERPRETERS } from '../config/interpreters.ts';
import type { Logger } from '../log.ts';
import type { Catalog } from './catalog.ts';
import { stemOf } from './names.ts';

/** A burst of events (an editor's save, a `git pull`) is looked at once. */
const QUIET = 300;

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
  return async () => {
    clearTimeout(timer);
    await watcher.close();
  };
}

async function report(name: string, catalog: Catalog, log: Logger): Promise<void> {
  try {
    const { name: script, sha256 } = await catalog.resolve(name);
    log.info({ script, sha256 }, 'script changed and is ready');
  } catch (error) {
    const { code, message } = Failure.from(error);
    if (code === 'no-such-script' || code === 'invalid-name') log.info({ script: name }, 'no script answers to this name any more');
    else log.warn({ script: name, code, reason: message }, 'script changed and cannot run');
  }
}
