import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { HIGH_WATER, type Connection } from '../../../agent/wire/connection.ts';
import { Link } from '../../../agent/wire/link.ts';
import { newFolder } from '../../helpers/folder.ts';
import { until } from '../../helpers/wait.ts';

const PATIENCE = 60_000;

interface Ends {
  ours: Link;
  theirs: Link;
  /** Below ours. */
  socket: Socket;
  /** Conversations that the other end was asked for. */
  accepted: Connection[];
}

suite('a link', () => {
  const folder = newFolder();
  after(() => rmSync(folder, { recursive: true }));
  let count = 0;

  async function linked(onAccept: (connection: Connection) => void = () => undefined): Promise<Ends> {
    const file = path.join(folder, `${(count += 1)}.sock`);
    const server = createServer({ allowHalfOpen: true }).listen(file); // as that of an HTTP server
    const socket = connect(file);
    const peer = await new Promise<Socket>((resolve) => server.once('connection', resolve));
    server.close();
    const accepted: Connection[] = [];
    const theirs = attach(peer, (connection) => {
      accepted.push(connection);
      onAccept(connection);
    });
    const ours = attach(socket);
    after(() => socket.destroy());
    return { ours, theirs, socket, accepted };
  }

  async function opened(link: Link): Promise<Connection> {
    const connection = await link.open(PATIENCE);
    assert.ok(connection);
    return connection;
  }

  /** What has come so far, texts and bytes apart. */
  function listen(connection: Connection): { texts: string[]; bytes: number; closed: number | undefined } {
    const heard: { texts: string[]; bytes: number; closed: number | undefined } = { texts: [], bytes: 0, closed: undefined };
    connection.onMessage((data, binary) => {
      if (binary) heard.bytes += data.length;
      else heard.texts.push(data.toString());
    });
    connection.onClose((code) => (heard.closed = code));
    return heard;
  }

  test('carries many conversations, each with its own messages in their order', async () => {
    const { ours } = await linked((connection) => {
      connection.onMessage((data, binary) => connection.send(binary ? data : data.toString()));
    });
    const calls = await Promise.all(Array.from({ length: 50 }, () => opened(ours)));
    const heard = calls.map(listen);
    for (let round = 0; round < 20; round += 1) for (const [index, call] of calls.entries()) call.send(`${index} ünïcode ${round}`);
    await until('all answers', () => heard.every(({ texts }) => texts.length === 20));
    for (const [index, { texts }] of heard.entries()) {
      assert.deepEqual(
        texts,
        Array.from({ length: 20 }, (_, round) => `${index} ünïcode ${round}`),
      );
    }
  });

  test('passes messages of every length, whatever pieces they come in', async () => {
    const { ours, accepted } = await linked();
    const call = await opened(ours);
    const sizes = [0, 1, 4095, 4096, 4097, 65_527, 65_536, 300_000, 1024 * 1024];
    const got: number[] = [];
    accepted[0]?.onMessage((data) => {
      assert.ok(data.every((byte) => byte === data.length % 251));
      got.push(data.length);
    });
    for (const size of sizes) call.send(Buffer.alloc(size, size % 251));
    await until('all messages', () => got.length === sizes.length);
    assert.deepEqual(got, sizes);
  });

  test('is read byte by byte as well as at once', async () => {
    const { theirs, socket, accepted } = await linked();
    const frames = Buffer.concat([frame(7, 1, ''), frame(7, 3, 'hello'), frame(7, 4, 'x'.repeat(20))]);
    for (const byte of frames) {
      socket.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await until('the conversation', () => accepted[0]);
    const [call] = accepted;
    assert.ok(call);
    const heard = listen(call);
    await until('its messages', () => heard.bytes === 20);
    assert.deepEqual(heard.texts, ['hello']);
    theirs.destroy();
  });

  test('a reader that is paused congests its own conversation, and no other', async () => {
    const { ours, accepted } = await linked();
    const [slow, quick] = [await opened(ours), await opened(ours)];
    const [slowEnd, quickEnd] = accepted;
    assert.ok(slowEnd !== undefined && quickEnd !== undefined);
    const [slowHeard, quickHeard] = [listen(slowEnd), listen(quickEnd)];
    slowEnd.pause();
    let sent = 0;
    for (; !slow.congested; sent += 65_536) slow.send(Buffer.alloc(65_536));
    quick.send('still here');
    await until('the other one', () => quickHeard.texts.length === 1);
    assert.equal(slowHeard.bytes, 0);
    assert.ok(sent <= HIGH_WATER + 65_536);
    const drained = new Promise<void>((resolve) => slow.onceDrained(resolve));
    slowEnd.resume();
    await drained;
    assert.ok(!slow.congested);
    await until('all of it', () => slowHeard.bytes === sent);
  });

  test('tells both ends how a conversation was closed, after its last message', async () => {
    const { ours, accepted } = await linked();
    const call = await opened(ours);
    const [end] = accepted;
    assert.ok(end);
    const [here, there] = [listen(call), listen(end)];
    end.pause();
    call.send('last');
    call.close(1001);
    call.send('too late');
    end.resume();
    await until('both closes', () => here.closed !== undefined && there.closed !== undefined);
    assert.deepEqual([there.texts, there.closed, here.closed], [['last'], 1001, 1000]);
  });

  test('a conversation that is cut off has vanished for the other end', async () => {
    const { ours, accepted } = await linked();
    const call = await opened(ours);
    const [end] = accepted;
    assert.ok(end);
    const [here, there] = [listen(call), listen(end)];
    call.destroy();
    await until('the other end', () => there.closed);
    assert.deepEqual([here.closed, there.closed, end.open], [1006, 1006, false]);
  });

  test('takes every conversation with it when it is lost', async () => {
    const { ours, theirs, accepted } = await linked();
    const calls = [await opened(ours), await opened(ours)];
    const heard = [...calls, ...accepted].map(listen);
    theirs.destroy();
    await until('all closes', () => heard.every(({ closed }) => closed === 1006));
    assert.equal(await ours.open(PATIENCE), undefined);
  });

  test('retires when its last conversation has ended, and takes no new one', async () => {
    const { ours, theirs, accepted } = await linked();
    const call = await opened(ours);
    theirs.retire();
    assert.equal(await ours.open(PATIENCE), undefined);
    call.send('goes on');
    const [end] = accepted;
    assert.ok(end);
    const heard = listen(end);
    await until('the message', () => heard.texts.length === 1);
    call.close(1000);
    await Promise.all([ours.closed, theirs.closed]);
  });

  test('a conversation that nobody takes is given up', async () => {
    const file = path.join(folder, 'deaf.sock');
    const server = createServer(() => undefined).listen(file);
    const socket = connect(file);
    after(() => server.close());
    await once(socket, 'connect');
    assert.equal(await attach(socket).open(1), undefined);
    socket.destroy();
  });

  for (const [what, bytes] of Object.entries({
    'an unknown kind': frame(1, 99, ''),
    'a credit that is none': frame(1, 5, 'x'),
    'a message that is too long': Buffer.from([0, 0, 0, 1, 4, 255, 255, 255, 255]),
  })) {
    test(`${what} ends it`, async () => {
      const { theirs, socket } = await linked();
      socket.write(bytes);
      await theirs.closed;
    });
  }
});

function attach(socket: Socket, accept?: (connection: Connection) => void): Link {
  const link = new Link(socket, accept);
  socket.on('data', (chunk: Buffer) => {
    link.read(chunk);
    chunk.fill(0xff); // it may be read into again
  });
  return link;
}

function frame(call: number, kind: number, payload: string): Buffer {
  const header = Buffer.alloc(9);
  header.writeUInt32BE(call, 0);
  header[4] = kind;
  header.writeUInt32BE(payload.length, 5);
  return Buffer.concat([header, Buffer.from(payload)]);
}
