/** A keeper of a test's own. */
import path from 'node:path';
import { KEEPER_SOCKET } from '../../agent/keeper/messages.ts';
import { startKeeper } from '../../agent/process/execute.ts';
import { KeeperLink } from '../../agent/runner/keeper-link.ts';

const MAIN = path.resolve(import.meta.dirname, '../../agent/main.ts');

/** Starts one when it is needed. Give it to `after(() => keeper.close())`: it then ends by itself. */
export function linkToKeeper(folder: string): KeeperLink {
  const socket = path.join(folder, KEEPER_SOCKET);
  return new KeeperLink(socket, () => startKeeper(MAIN, ['keeper', '--socket', socket, '--log', 'error']));
}
