/** What a new stub will not be able to do: it is made all the same, because scripts, tasks and grants may come later, without a restart. */
import { Failure } from '../../protocol/failures.ts';
import { openCatalog, type Catalog } from '../catalog/catalog.ts';
import type { Config } from '../config/config.ts';
import { checkGrant, type Key } from '../config/keys.ts';
import { readTasks } from '../tasks/folder.ts';
import { didYouMean, findScript } from './nearest.ts';

/** `--event` with it: the event that SecureChange names in this variable of the stub. */
const EVENT_OF_HOST = 'SCW_EVENT';

/** What the stub is to call. */
interface Calls {
  script?: string | undefined;
  event?: string;
  host: 'securechange' | 'checkpoint' | 'generic';
}

/** As far as it is known here, and before a call. */
export function cautionsOf(config: Config, key: Key, options: Calls): string[] {
  const missing = config.upstream === undefined ? missingHere(config, options) : undefined;
  return [forbidden(key, options), missing].filter((caution) => caution !== undefined);
}

/** Why the key does not let it call. */
function forbidden({ events, scripts, ...key }: Key, { script, event, host }: Calls): string | undefined {
  const named = event !== undefined && event !== EVENT_OF_HOST;
  const granted = {
    ...{ ...key, scripts: script === undefined && event === undefined ? ['**'] : scripts },
    ...(named && events !== undefined ? { events } : {}),
  };
  try {
    checkGrant(granted, { script, host, event: event ?? '' });
    return undefined;
  } catch (error) {
    return Failure.from(error).message;
  }
}

/** Why nothing would run now; undefined if something would, or it is not known. */
function missingHere(config: Config, { script, event }: Calls): string | undefined {
  try {
    if (script !== undefined) return missingScript(openCatalog(config), script);
    return event === undefined || event === EVENT_OF_HOST ? undefined : missingTask(config, event);
  } catch {
    return undefined; // no such folder, or not for our eyes: the stub is as good
  }
}

function missingScript(catalog: Catalog, name: string): string | undefined {
  catalog.names(); // throws where they are not for our eyes
  try {
    findScript(catalog, name);
    return undefined;
  } catch (error) {
    return Failure.from(error).message;
  }
}

function missingTask({ scripts }: Config, event: string): string | undefined {
  const tasks = readTasks(scripts, () => undefined).flatMap(({ file, task }) => (task === undefined ? [] : [{ file, ...task }]));
  const own = tasks.filter(({ trigger }) => trigger === event);
  if (own.some(({ enabled }) => enabled)) return undefined;
  const [disabled] = own;
  if (disabled !== undefined) return `no task of "${event}" is enabled; set enabled: true in ${disabled.file}`;
  const known = tasks.map(({ trigger }) => trigger);
  return `no task has the trigger "${event}"; "mediator-agent tasks list" shows those that there are${didYouMean(event, known)}`;
}
