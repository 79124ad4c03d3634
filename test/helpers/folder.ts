/** Folders for tests, removed afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A new folder that the group and others cannot write to. Whoever makes it removes it. */
export function newFolder(): string {
  return mkdtempSync(path.join(tmpdir(), 'mediator-'));
}

/** A folder that is removed after the test or the suite. */
export function temporaryFolder(context: { after: (hook: () => void) => void }): string {
  const folder = newFolder();
  context.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}
