import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { invoke, payload, temporaryFolder } from './invoke.ts';

const SCRIPT = 'condition-by-subnet.py';
const TRUE = '<response><condition_result>true</condition_result></response>\n';
const FALSE = '<response><condition_result>false</condition_result></response>\n';
const ADVANCE = payload('securechange/advance.xml');
const LOGIN = { SC_USER: 'reader', SC_PASSWORD: 'pa:ss wörd', SUBNETS: '10.20.0.0/16, 2001:db8:20::/48' };

test('a ticket whose addresses all lie inside the subnets is true', async (context) => {
  const api = await restApi(context, () => payload('securechange/rest-ticket.xml'));
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: ['64'], stdin: ADVANCE, env: { ...LOGIN, SC_URL: api.url } });
  assert.equal(stderr, '');
  assert.equal(stdout, TRUE);
  assert.equal(code, 0);
  assert.deepEqual(api.requests, ['GET /securechangeworkflow/api/securechange/tickets/64']);
});

test('the ticket id comes from stdin where there is no argument', async (context) => {
  const api = await restApi(context, () => payload('securechange/rest-ticket.xml'));
  const { stdout } = await invoke(SCRIPT, { stdin: payload('securechange/close.xml'), env: { ...LOGIN, SC_URL: `${api.url}/` } });
  assert.equal(stdout, TRUE);
  assert.deepEqual(api.requests, ['GET /securechangeworkflow/api/securechange/tickets/64']);
});

const IP = (address: string, mask: string): string => `<source type="IP"><ip_address>${address}</ip_address>${mask}</source>`;
const RANGE = (first: string, last: string): string =>
  `<source type="RANGE"><range_first_ip>${first}</range_first_ip><range_last_ip>${last}</range_last_ip></source>`;

const SOURCES: [what: string, sources: string, answer: string][] = [
  ['a host inside', IP('10.20.3.4', '<netmask>255.255.255.255</netmask>'), TRUE],
  ['a host inside without a mask', IP('10.20.3.4', ''), TRUE],
  ['a host outside', IP('10.21.3.4', '<cidr>32</cidr>'), FALSE],
  ['a network of the same size', IP('10.20.0.0', '<cidr>16</cidr>'), TRUE],
  ['a network that is larger than the subnet', IP('10.20.0.0', '<netmask>255.254.0.0</netmask>'), FALSE],
  ['a range inside', RANGE('10.20.0.250', '10.20.1.5'), TRUE],
  ['a range that ends outside', RANGE('10.20.255.250', '10.21.0.1'), FALSE],
  ['an IPv6 network inside', IP('2001:db8:20:1::', '<cidr>64</cidr>'), TRUE],
  ['an IPv6 host outside', IP('2001:db8:21::1', ''), FALSE],
  [
    'a DNS name whose addresses are inside',
    `<source type="DNS"><dns_ip_addresses><ip_address>10.20.0.9</ip_address></dns_ip_addresses></source>`,
    TRUE,
  ],
  ['ANY', '<source type="ANY"><id>1</id></source>', FALSE],
  ['the Internet', '<source type="INTERNET"/>', FALSE],
  [
    'a firewall object',
    '<source type="Object"><object_name>web</object_name><object_details>10.20.0.9/32</object_details></source>',
    FALSE,
  ],
  ['one inside and one outside', IP('10.20.3.4', '') + IP('192.0.2.1', ''), FALSE],
  ['nothing', '', FALSE],
];

for (const [what, sources, answer] of SOURCES) {
  test(`as a source, ${what} is ${answer === TRUE ? 'true' : 'false'}`, async (context) => {
    const api = await restApi(context, () => ticket(sources, IP('10.20.8.0', '<cidr>24</cidr>')));
    const { code, stdout, stderr } = await invoke(SCRIPT, { args: ['65'], env: { ...LOGIN, SC_URL: api.url } });
    assert.equal(stderr, '');
    assert.equal(stdout, answer);
    assert.equal(code, 0);
  });
}

test('SIDE chooses what has to lie inside', async (context) => {
  const api = await restApi(context, () => ticket(IP('10.20.3.4', ''), '<destination type="INTERNET"/>'));
  const answers = ['sources', 'destinations', 'both'].map(async (side) => {
    const { stdout } = await invoke(SCRIPT, { args: ['65'], env: { ...LOGIN, SC_URL: api.url, SIDE: side } });
    return stdout;
  });
  assert.deepEqual(await Promise.all(answers), [TRUE, FALSE, FALSE]);
});

test('a ticket without access requests is false', async (context) => {
  const api = await restApi(context, () => '<ticket><id>65</id><steps><step><id>1</id></step></steps></ticket>');
  const { code, stdout } = await invoke(SCRIPT, { args: ['65'], env: { ...LOGIN, SC_URL: api.url } });
  assert.equal(stdout, FALSE);
  assert.equal(code, 0);
});

for (const [what, invocation] of Object.entries({
  'by its argument': { args: ['test'], stdin: ADVANCE },
  'by its stdin': { stdin: payload('securechange/test-button.xml') },
  'by its stdin with a newline': { stdin: '<ticket_info/>\n' },
})) {
  test(`the Test button, known ${what}, answers false without a call`, async (context) => {
    const api = await restApi(context, () => payload('securechange/rest-ticket.xml'));
    const { code, stdout } = await invoke(SCRIPT, { ...invocation, env: { ...LOGIN, SC_URL: api.url } });
    assert.equal(stdout, FALSE);
    assert.equal(code, 0);
    assert.deepEqual(api.requests, []);
  });
}

test('over TLS the certificate is verified against SC_CA', async (context) => {
  const folder = temporaryFolder(context);
  const { key, cert, file } = selfSigned(folder);
  const api = await restApi(
    context,
    () => payload('securechange/rest-ticket.xml'),
    (listener) => createHttpsServer({ key, cert }, listener),
  );
  const env = { ...LOGIN, SC_URL: api.url, SC_CA: file };
  assert.equal((await invoke(SCRIPT, { args: ['64'], env })).stdout, TRUE);
});

test('a certificate that does not verify gets neither the password nor an answer', async (context) => {
  const { key, cert } = selfSigned(temporaryFolder(context));
  const api = await restApi(
    context,
    () => payload('securechange/rest-ticket.xml'),
    (listener) => createHttpsServer({ key, cert }, listener),
  );
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: ['64'], env: { ...LOGIN, SC_URL: api.url } });
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /CERTIFICATE_VERIFY_FAILED/);
  assert.deepEqual(api.requests, []);
});

test('a redirect to another server does not carry the password there', async (context) => {
  const seen: (string | undefined)[] = [];
  const other = await listen(
    context,
    createHttpServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end(payload('securechange/rest-ticket.xml'));
    }),
  );
  const first = await listen(
    context,
    createHttpServer((_request, response) => {
      response.writeHead(302, { location: `${other}/` }).end();
    }),
  );
  await invoke(SCRIPT, { args: ['64'], env: { ...LOGIN, SC_URL: first } });
  assert.deepEqual(seen, [undefined]);
});

const FAILURES: [what: string, status: number, body: string, reason: RegExp][] = [
  ['a wrong password', 401, '', /ticket 64: SecureChange answered 401/],
  ['a ticket that does not exist', 404, '', /ticket 64: SecureChange answered 404/],
  ['a login page', 200, '<html><body>Log in</body></html>', /answered with <html> instead of a ticket/],
  ['text', 200, 'please wait', /is not XML/],
  ['an address that is none', 200, ticket(IP('10.20.0.256', ''), ''), /10\.20\.0\.256/],
];

for (const [what, status, body, reason] of FAILURES) {
  test(`${what} gives no answer and exit code 1`, async (context) => {
    const url = await listen(
      context,
      createHttpServer((_request, response) => response.writeHead(status).end(body)),
    );
    const { code, stdout, stderr } = await invoke(SCRIPT, { args: ['64'], env: { ...LOGIN, SC_URL: url } });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^condition-by-subnet: [^\n]+\n$/);
    assert.match(stderr, reason);
  });
}

const MISTAKES: [what: string, invocation: Parameters<typeof invoke>[1], reason: RegExp][] = [
  ['broken XML without an argument', { stdin: ADVANCE.subarray(0, 100) }, /stdin is not a ticket XML/],
  ['an empty stdin without an argument', {}, /stdin is not a ticket XML/],
  ['an argument that is no ticket id', { args: ['64/../65'], stdin: ADVANCE }, /is not the id of a ticket/],
  ['a missing password', { args: ['64'], env: { ...LOGIN, SC_URL: 'https://127.0.0.1:1', SC_PASSWORD: '' } }, /SC_PASSWORD is not set/],
  ['a server that is down', { args: ['64'], env: { ...LOGIN, SC_URL: 'https://127.0.0.1:1' } }, /cannot reach https:\/\/127\.0\.0\.1:1/],
  ['a URL without TLS', { args: ['64'], env: { ...LOGIN, SC_URL: 'http://securechange.example.com' } }, /must begin with https/],
];

for (const [what, invocation, reason] of MISTAKES) {
  test(`${what} is refused in one line`, async () => {
    const { code, stdout, stderr } = await invoke(SCRIPT, invocation);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^condition-by-subnet: [^\n]+\n$/);
    assert.match(stderr, reason);
  });
}

test('a subnet with host bits set is named', async (context) => {
  const api = await restApi(context, () => payload('securechange/rest-ticket.xml'));
  const { code, stderr } = await invoke(SCRIPT, { args: ['64'], env: { ...LOGIN, SC_URL: api.url, SUBNETS: '10.20.0.1/16' } });
  assert.equal(code, 1);
  assert.match(stderr, /10\.20\.0\.1\/16/);
});

function ticket(sources: string, destinations: string): string {
  const request = `<access_request><sources>${sources}</sources><destinations>${destinations}</destinations></access_request>`;
  return `<ticket><id>65</id><steps><step><id>1</id><tasks><task><fields><field>${request}</field></fields></task></tasks></step></steps></ticket>`;
}

/** Plays the REST API of SecureChange: whoever gives the right login gets the ticket. */
async function restApi(
  context: TestContext,
  answer: () => string | Buffer,
  create: (listener: RequestListener) => Server = createHttpServer,
): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = [];
  const login = `Basic ${Buffer.from(`${LOGIN.SC_USER}:${LOGIN.SC_PASSWORD}`).toString('base64')}`;
  const server = create((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const allowed = request.headers.authorization === login && request.headers.accept === 'application/xml';
    response.writeHead(allowed ? 200 : 401, { 'content-type': 'application/xml' }).end(allowed ? answer() : '');
  });
  return { url: await listen(context, server), requests };
}

async function listen(context: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return `${'setSecureContext' in server ? 'https' : 'http'}://127.0.0.1:${address.port}`;
}

function selfSigned(folder: string): { key: Buffer; cert: Buffer; file: string } {
  const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', ['req', '-x509', '-nodes', '-days', '2', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  return { key: readFileSync(key), cert: readFileSync(cert), file: cert };
}
