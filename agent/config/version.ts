/** Which version of the agent this is. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const file = new URL('../../package.json', import.meta.url);

const About = z.object({ version: z.string(), engines: z.object({ node: z.string().regex(/^>=/) }) });

export function version(): string {
  return about().version;
}

/** The oldest Node that runs the agent. */
export function oldestNode(): string {
  return about().engines.node.slice('>='.length);
}

function about(): z.output<typeof About> {
  return About.parse(JSON.parse(readFileSync(file, 'utf8')));
}
