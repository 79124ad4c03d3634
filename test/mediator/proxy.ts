/**
 * An HTTP proxy that knows CONNECT and nothing else (RFC 9110, section 9.3.6). Prints its port, and then a line for each request.
 *
 *     node proxy.ts [USER:PASSWORD]
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';

const [, , credentials] = process.argv;
const expected = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;

const server = createServer((_request, response) => response.writeHead(405).end());
server.on('connect', (request, socket, head) => {
  socket.on('error', () => socket.destroy());
  process.stdout.write(`${request.url ?? ''}\n`);
  if (expected !== undefined && request.headers['proxy-authorization'] !== expected) {
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  const [host = '', port = ''] = (request.url ?? '').split(/:(?=\d+$)/);
  const onward = connect(Number(port), host, () => {
    socket.write('HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n');
    onward.write(head);
    onward.pipe(socket).pipe(onward);
  });
  onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
