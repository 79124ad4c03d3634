import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { suite, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { writeLine } from '../../../agent/keeper/lines.ts';
import { KeeperLink } from '../../../agent/runner/keeper-link.ts';
import { linkToKeeper } from '../../helpers/keeper.ts';
import { newFolder } from '../../helpers/folder.ts';

suite('the link to the keeper', () => {
  test('may be told of a run while it is being closed', async (context) => {
    const folder = newFolder();
    context.after(() => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 }); // the keeper may be removing its socket
    });
    const keeper = linkToKeeper(folder);
    await keeper.open();
    const closing = keeper.close();
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve(); // now it has ended its side
    keeper.settled('01JDB4M5N6P7Q8R9S0T1V2W3X4');
    await setImmediate();
    await closing;
  });

  test('that found a keeper about to die is made once, whoever asks meanwhile', async (context) => {
    const folder = newFolder();
    const file = path.join(folder, 'keeper.sock');
    const greet = (socket: Socket): void => void socket.once('data', () => writeLine(socket, { type: 'kept', runs: [] }));
    const servers: Server[] = [];
    const sockets: Socket[] = [];
    const listen = async (answer: (socket: Socket) => void): Promise<Server> => {
      const server = createServer((socket) => {
        sockets.push(socket);
        answer(socket);
      }).listen(file);
      servers.push(server);
      await once(server, 'listening');
      return server;
    };
    context.after(() => {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const dying = await listen((socket) => void socket.once('data', () => socket.destroy()));
    let starts = 0;
    let more: Promise<unknown> | undefined;
    const keeper: KeeperLink = new KeeperLink(file, async () => {
      starts += 1;
      more ??= keeper.open(); // another run asks while the keeper starts
      dying.close();
      await once(dying, 'close');
      await listen(greet);
    });
    await keeper.open();
    await more;
    assert.deepEqual([starts, sockets.length], [1, 2]);
  });
});
