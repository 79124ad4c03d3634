/** The server on the runner's Unix socket: conversations over a link or a WebSocket of their own, and HTTP for the rest. */
import { createServer, type Server } from 'node:http';
import { RUN_PATH } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Journal } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import { Acceptor, refuse } from '../wire/acceptor.ts';
import type { Connection } from '../wire/connection.ts';
import { LINK_PATH, LINK_PROTOCOL, Link } from '../wire/link.ts';
import { answer } from './routes.ts';
import type { Runner } from './runner.ts';
import { Session } from './session.ts';

/** How long stubs may take to read the end of their runs once the runner stops. What they miss, they resume with the next one. */
const STOP_PATIENCE = 3000;

interface ApiParts {
  runner: Runner;
  catalog: Catalog;
  journal: Journal;
  log: Logger;
  /** Those whose connection is open. */
  sessions: Set<Session>;
  /** To fronts. */
  links: Set<Link>;
}

export function createApi({ runner, catalog, journal, log, sessions, links }: ApiParts): Server {
  const acceptor = new Acceptor();
  const server = createServer((request, response) => void answer(request, response, { runner, catalog, journal }));
  const begin = (connection: Connection): void => {
    const session = new Session(connection, runner, log);
    sessions.add(session);
    connection.onClose(() => sessions.delete(session));
  };
  server.on('upgrade', (request, socket, head) => {
    if (request.url === LINK_PATH && request.headers.upgrade === LINK_PROTOCOL) {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`);
      const link = new Link(socket, begin);
      links.add(link);
      link.read(head);
      socket.on('data', (chunk: Buffer) => link.read(chunk));
      void link.closed.then(() => links.delete(link));
    } else if (request.url === RUN_PATH) {
      acceptor.accept(request, socket, head, [], begin);
    } else {
      refuse(socket, new Failure('not-found', `nothing is served at ${request.url ?? ''}`));
    }
  });
  return server;
}

/** Takes no more calls. Resolves when all connections are closed. */
export async function closeServer(server: Server, sessions: Set<Session>, links: Set<Link>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const link of links) link.retire();
  for (const session of sessions) session.stop();
  const impatient = setTimeout(() => {
    for (const session of sessions) session.destroy();
    for (const link of links) link.destroy();
    server.closeAllConnections();
  }, STOP_PATIENCE);
  await closed;
  clearTimeout(impatient);
}
