/** Where the front passes calls on: to the runner's socket, or as a sidecar over TLS to the front of an agent elsewhere. */
import { readFileSync } from 'node:fs';
import { KEY_ID, SECRET } from '../../protocol/auth.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { credentialOr } from '../config/credentials.ts';
import type { Connection } from '../wire/connection.ts';
import type { RemoteAgent } from '../wire/dial-agent.ts';
import { RunnerLink } from '../wire/runner-link.ts';
import { KeptConnections } from './kept.ts';

export interface Upstream {
  /** @throws Failure */
  dial: () => Promise<Connection>;
  /** No more calls will come. */
  close: () => void;
  /** Whether we may say who calls. An agent elsewhere believes nobody, and takes all our calls for those of our own key. */
  trusting: boolean;
  /** Connections of a sidecar that are ready, each for a call that is still to come. */
  ready: () => number | undefined;
}

/** Asks `config` at every call, so that a reload counts. @throws Failure if a file that it names cannot be used */
export function createUpstream(config: Config): Upstream {
  readRemote(config);
  const kept = new KeptConnections();
  const runner = new RunnerLink();
  return {
    dial: async () => {
      const remote = readRemote(config);
      return remote === undefined ? runner.dial(config.socket) : kept.take(remote);
    },
    close: () => {
      kept.close();
      runner.close();
    },
    trusting: config.upstream === undefined,
    ready: () => (config.upstream === undefined ? undefined : kept.size),
  };
}

const PAIR = new RegExp(`^(?<id>${KEY_ID}):(?<secret>${SECRET})\\s*$`);

/** @throws Failure */
export function readRemote({ upstream }: Config): RemoteAgent | undefined {
  if (upstream === undefined) return undefined;
  const { id, secret } = PAIR.exec(readText(upstream.key))?.groups ?? {};
  if (id === undefined || secret === undefined) throw new Failure('internal', `${upstream.key} is not ID:SECRET of a key of the agent`);
  return { url: upstream.url, key: { id, secret }, ca: readText(upstream.ca) };
}

function readText(file: string): string {
  try {
    return readFileSync(credentialOr(file), 'utf8');
  } catch (error) {
    const { message } = Failure.from(error);
    throw new Failure('internal', `upstream: ${message}`, { cause: error });
  }
}
