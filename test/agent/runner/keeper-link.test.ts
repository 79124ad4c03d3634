import { rmSync } from 'node:fs';
import { suite, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { linkToKeeper } from '../../helpers/keeper.ts';
import { newFolder } from '../../helpers/folder.ts';

suite('the link to the keeper', () => {
  test('may be told of a run while it is being closed', async (context) => {
    const folder = newFolder();
    context.after(() => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 }); // the keeper may be removing its socket
    });
    const keeper = linkToKeeper(folder);
    await keeper.open();
    const closing = keeper.close();
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve(); // now it has ended its side
    keeper.settled('01JDB4M5N6P7Q8R9S0T1V2W3X4');
    await setImmediate();
    await closing;
  });
});
