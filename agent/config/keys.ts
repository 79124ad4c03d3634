/** `keys.yaml`: who may call what. Read by the front; holds secrets, so nobody else may read the file. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { KEY_ID, SECRET } from '../../protocol/auth.ts';
import { isCredential } from './credentials.ts';
import { matchesGlob } from './glob.ts';
import { INTERPRETERS } from './interpreters.ts';
import { readYamlFile, type Parsed } from './yaml-file.ts';

/** The key of invocations over the Unix socket. It reads the runs of all keys, so that no stub may carry it. */
export const LOCAL_KEY = 'local';

const Key = z.strictObject({
  id: z
    .string()
    .regex(new RegExp(`^${KEY_ID}$`), 'is not an id: 1 to 64 letters, digits, dots, dashes or underscores')
    .refine((id) => id !== LOCAL_KEY, `"${LOCAL_KEY}" stands for those who call over the Unix socket; choose another id`),
  secret: z.string().regex(new RegExp(`^${SECRET}$`), 'is not a secret: 32 to 64 letters, digits, dashes or underscores'),
  /** Globs over the name as it is called, with or without extension. */
  scripts: z.array(z.string()).default(['**']),
});
export type Key = z.output<typeof Key>;

export const KeysYaml = z.strictObject({ keys: z.array(Key) }).superRefine(({ keys }, context) => {
  keys.forEach(({ id }, index) => {
    if (keys.findIndex((key) => key.id === id) < index) {
      context.addIssue({ code: 'custom', path: ['keys', index, 'id'], message: `"${id}" stands twice` });
    }
  });
});

/** Reads the keys; a file that others than its owner may read is refused, as ssh does. */
export function loadKeys(file: string): Parsed<Key[]> {
  const parsed = readYamlFile(file, KeysYaml);
  if (!parsed.ok) return parsed;
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0 && !isCredential(file)) {
    const message = `has mode 0${mode.toString(8)} and holds secrets; run: chmod 600 ${file}`;
    return { ok: false, problems: [{ file, line: 0, field: '', message }] };
  }
  return { ok: true, value: parsed.value.keys };
}

/** Whether a key may call a script by this name. `close-ticket` allows `close-ticket.py` too. */
export function mayCall(key: Key, script: string): boolean {
  const extension = path.extname(script);
  const stem = extension in INTERPRETERS ? script.slice(0, -extension.length) : script;
  return key.scripts.some((glob) => matchesGlob(glob, script) || matchesGlob(glob, stem));
}
