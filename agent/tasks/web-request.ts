/** The action `send-web-request`: the payload by HTTPS POST, to a server that is verified by its certificate or by a fingerprint. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { Task } from './task.ts';

export type WebRequest = NonNullable<Task['action']['send-web-request']>;

export interface WebAnswer {
  status: number;
  body: string;
}

/** The longest answer that is read, in bytes. */
const BODY_LIMIT = 64 * 1024;

/** @throws Error that says why there is no answer. Nothing is sent to a server that was not verified */
export async function sendWebRequest(action: WebRequest, payload: string, signal: AbortSignal): Promise<WebAnswer> {
  const url = new URL(action.url);
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(action['time-out'] * 1000)]);
  const tunnel = proxyOf(action);
  const socket = await connectTo(
    url,
    tunnel === undefined ? undefined : await openTunnel(tunnel, url, deadline),
    action.fingerprint,
    deadline,
  );
  try {
    return await post(url, socket, action['shared-secret'], payload, deadline);
  } finally {
    socket.destroy();
  }
}

function proxyOf(action: WebRequest): URL | undefined {
  const url = action['override-proxy'] ? action['proxy-url'] : (process.env.https_proxy ?? process.env.HTTPS_PROXY);
  return url === undefined || url === '' ? undefined : new URL(url);
}

/** CONNECT (RFC 9110, section 9.3.6). */
async function openTunnel(proxy: URL, target: URL, signal: AbortSignal): Promise<Socket> {
  const path = `${target.hostname}:${portOf(target)}`;
  const call = httpRequest({
    host: proxy.hostname,
    port: proxy.port === '' ? 80 : Number(proxy.port),
    method: 'CONNECT',
    path,
    signal,
  }).end();
  const socket = await new Promise<Socket>((resolve, reject) => {
    call.once('connect', (response, tunnel) => {
      if (response.statusCode === 200) resolve(tunnel);
      else reject(new Error(`the proxy ${proxy.host} answered with HTTP ${response.statusCode ?? 0}`));
    });
    call.once('error', (cause) => {
      reject(new Error(`the proxy ${proxy.host} cannot be reached: ${cause.message}`, { cause }));
    });
  });
  return socket;
}

async function connectTo(url: URL, tunnel: Socket | undefined, fingerprint: string | undefined, signal: AbortSignal): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const socket = tlsConnect({
    host,
    port: portOf(url),
    ...(tunnel === undefined ? {} : { socket: tunnel }),
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    minVersion: 'TLSv1.2',
    // With a fingerprint, exactly that certificate is trusted, and no other, whoever signed it.
    rejectUnauthorized: fingerprint === undefined,
  });
  try {
    await once(socket, 'secureConnect', { signal });
    const seen = socket.getPeerCertificate().fingerprint.replaceAll(':', '').toLowerCase();
    if (fingerprint !== undefined && seen !== fingerprint) {
      throw new Error(`the certificate of ${url.host} has the fingerprint ${seen}, not the one in the task; nothing was sent`);
    }
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function post(url: URL, socket: TLSSocket, secret: string | undefined, payload: string, signal: AbortSignal): Promise<WebAnswer> {
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(payload),
    ...(secret === undefined ? {} : { 'x-chkp-shared-secret': secret }),
  };
  const call = httpsRequest(url, { method: 'POST', headers, createConnection: () => socket, signal });
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
        if (body.length > BODY_LIMIT) call.destroy(new Error(`the answer is longer than ${BODY_LIMIT} bytes`));
      });
      response.once('error', reject);
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, body });
      });
    });
    call.end(payload);
  });
}

function portOf(url: URL): number {
  return url.port === '' ? 443 : Number(url.port);
}
