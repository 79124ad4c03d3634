/** Runs call-timer.sh: bash starts the commands, so that the cost of a process in Node is in none of the figures. */
import path from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/**
 * @param commands bash code by name
 * @returns milliseconds of every call, by name, in the order of the rounds
 */
export async function timeCalls<Name extends string>(commands: Record<Name, string>, rounds: number): Promise<Record<Name, number[]>> {
  const names = Object.keys(commands);
  const samples: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  const codes: string[] = Object.values(commands);
  const child = spawn('bash', [path.join(import.meta.dirname, 'call-timer.sh'), String(rounds), ...codes], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed] = await Promise.all([text(child.stdout), once(child, 'close')]);
  for (const line of printed.split('\n').filter(Boolean)) {
    const [index = '', microseconds, status] = line.split(' ');
    const name = names[Number(index)] ?? '';
    if (status !== '0') throw new Error(`${name} failed with ${status}: ${codes[Number(index)]}`);
    samples[name]?.push(Number(microseconds) / 1000);
  }
  return samples;
}
