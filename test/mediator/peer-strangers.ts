/** Peers that are no agent, or not the right one: what they answer to the upgrade request. */
import type { Socket } from 'node:net';

/** Takes the answer that a right agent would give. */
type Stranger = (socket: Socket, right: string) => Promise<void>;

export const strangers: Record<string, Stranger> = {
  'http-200': says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'),
  'http-301': says('HTTP/1.1 301 Moved Permanently\r\nLocation: https://example.com/\r\n\r\n'),
  'http-502': says('HTTP/1.1 502 Bad Gateway\r\n\r\n<html>'),
  'http-503': says('HTTP/1.1 503 Service Unavailable\r\n\r\n'),
  garbage: says('\0\0\x01\xff\xfe not HTTP\r\n\r\n'),
  'garbage-without-end': says('x'.repeat(100_000), false),
  'closed-at-once': says(''),
  silence: says('', false),
  'half-an-answer': says('HTTP/1.1 101 Switching', false),
  'endless-headers': says(`HTTP/1.1 101 Switching Protocols\r\n${'X-Filler: y\r\n'.repeat(5000)}`, false),
  'an-endless-header': says(`HTTP/1.1 101 Switching Protocols\r\nX: ${'y'.repeat(200_000)}`, false),
  'cut-in-the-headers': changed((right) => right.slice(0, 60)),
  'wrong-proof': changed((right) => right.replace(/(Mediator-Proof: )[0-9a-f]{8}/, '$100000000')),
  'no-proof': changed((right) => right.replace(/Mediator-Proof: .*\r\n/, '')),
  'wrong-accept': changed((right) => right.replace(/(Sec-WebSocket-Accept: ).{4}/, '$1AAAA')),
  'no-accept': changed((right) => right.replace(/Sec-WebSocket-Accept: .*\r\n/, '')),
  'no-subprotocol': changed((right) => right.replace(/Sec-WebSocket-Protocol: .*\r\n/, '')),
  'other-subprotocol': changed((right) => right.replace('mediator.v1', 'chat')),
  extensions: changed((right) => right.replace('Upgrade: ', 'Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: ')),
  'refused-unauthorized': refuses(401, 'unauthorized', 'the key does not exist'),
  'refused-busy': refuses(503, 'busy', 'as many runs as allowed are going'),
  'refused-not-found': refuses(404, 'not-found', 'nothing is served here'),
  'refused-in-colour': refuses(404, 'not-found', '\u001b[31mno\u0007thing\tis served'),
  'refused-newer': refuses(403, 'something-newer', 'no'),
  'refused-without-a-word': says('HTTP/1.1 503 Service Unavailable\r\nMediator-Failure: draining\r\n\r\n'),
};

/** Says it, and ends the connection unless the stub is to wait. */
function says(text: string, end = true): Stranger {
  return (socket) => {
    if (end) socket.end(text, 'latin1');
    else socket.write(text, 'latin1');
    return Promise.resolve();
  };
}

function changed(change: (right: string) => string): Stranger {
  return (socket, right) => {
    socket.end(change(right));
    return Promise.resolve();
  };
}

function refuses(status: number, failure: string, text: string): Stranger {
  return says(
    `HTTP/1.1 ${status} Refused\r\nContent-Type: text/plain\r\nMediator-Failure: ${failure}\r\nConnection: close\r\n\r\n${text}\n`,
  );
}
