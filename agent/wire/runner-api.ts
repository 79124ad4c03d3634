/** The command line and the admin listener as clients of the runner's API. */
import { request } from 'node:http';
import { z } from 'zod';
import { FAILURE_CODES, Failure } from '../../protocol/failures.ts';
import { away } from './dial.ts';

const ErrorBody = z.object({ error: z.object({ code: z.enum(FAILURE_CODES), message: z.string() }) });

/** @throws Failure that the runner answered with, or `runner-away` */
export async function callRunner(socketPath: string, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const { status, body } = await exchange(socketPath, method, path);
  const value: unknown = JSON.parse(body);
  if (status === 200) return value;
  const parsed = ErrorBody.safeParse(value);
  throw parsed.success
    ? new Failure(parsed.data.error.code, parsed.data.error.message)
    : new Failure('internal', `the runner answered with HTTP ${status}`);
}

/** One request, whatever the answer. @throws Failure `runner-away` */
export function exchange(socketPath: string, method: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: 30_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body });
      });
      response.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error('no answer within 30 s')));
    call.on('error', (cause) => reject(away(socketPath, cause)));
    call.end();
  });
}
