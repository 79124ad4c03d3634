import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import pino from 'pino';
import { Approvals } from '../../../agent/catalog/approvals.ts';
import { Catalog } from '../../../agent/catalog/catalog.ts';
import { loadConfig } from '../../../agent/config/config.ts';
import { Journal } from '../../../agent/journal/journal.ts';
import { Admission } from '../../../agent/runner/admission.ts';
import { recover } from '../../../agent/runner/recovery.ts';
import { RunnerMetrics } from '../../../agent/runner/metrics.ts';
import { Registry } from '../../../agent/runner/registry.ts';
import { Retention } from '../../../agent/runner/retention.ts';
import { Runner } from '../../../agent/runner/runner.ts';
import { Spool, stdinFrom } from '../../../agent/runner/spool.ts';
import { newFolder } from '../../helpers/folder.ts';
import { linkToKeeper } from '../../helpers/keeper.ts';
import { processesNaming } from '../../helpers/processes.ts';
import { newToken } from '../../helpers/stub.ts';
import { until } from '../../helpers/wait.ts';

/** A journal that looks around whenever a run is said to start. */
class WatchfulJournal extends Journal {
  /** For every call, how many processes of the run there were. */
  readonly processes: number[] = [];

  override start(id: string, started: number, pid: number, boot: string): void {
    this.processes.push(processesNaming(`MEDIATOR_RUN=${id}`).length);
    super.start(id, started, pid, boot);
  }
}

suite('the life of a run', () => {
  const folder = newFolder();
  const log = pino({ level: 'silent' });
  const journal = new WatchfulJournal(path.join(folder, 'state/journal.db'));
  const spool = new Spool(path.join(folder, 'state/spool'));
  const keeper = linkToKeeper(folder);
  after(async () => {
    await keeper.close();
    journal.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 }); // the keeper may be removing its socket
  });

  test('says in the journal that the script starts before there is a process of it: a crash in between is never a start that did not happen', async () => {
    writeFileSync(path.join(folder, 'agent.yaml'), 'names: [a]\nlisten: { plaintext: ["a:0"] }\nscripts: .\n');
    writeFileSync(path.join(folder, 'sleep.sh'), '#!/bin/bash\nexec sleep 60\n', { mode: 0o755 });
    const config = loadConfig(path.join(folder, 'agent.yaml'));
    assert.ok(config.ok);
    const registry = new Registry(journal, spool);
    const runner = new Runner({
      metrics: new RunnerMetrics(),
      ...{ config: config.value, log, journal, spool },
      catalog: new Catalog({ root: folder, searchPath: config.value.path, settle: 0, approvals: new Approvals(config.value) }),
      keeper,
      admission: new Admission(config.value.limits),
      registry,
      retention: new Retention({ config: config.value, log, journal, spool, registry }),
    });
    const { id } = await runner.submit({
      ...{
        token: newToken(),
        script: 'sleep',
        event: '',
        task: undefined,
        extra: {},
        args: [],
        env: {},
        host: 'generic',
        patience: undefined,
      },
      ...{ stdin: stdinFrom(Buffer.alloc(0)), key: 'local', address: '', rerunOf: null },
    });
    await until('the process id is known', () => (journal.byId(id)?.pid ?? 0) > 0);
    assert.equal(journal.processes[0], 0);
    runner.cancel(id, 'the test');
    await until('the end', () => journal.byId(id)?.outcome);
  });

  test('that was announced and has no process is lost after a crash; one that was not is refused', async () => {
    const row = {
      ...{
        key: 'k',
        address: '',
        script: 'a.sh',
        sha256: '',
        manifest_sha256: '',
        host: 'generic' as const,
        event: '',
        ticket: '',
        subject: '',
        requester: '',
      },
      ...{ stage: '', identity: '', args: [], env: {}, timeout_ms: 1, stdin: 0, stdin_sha256: '', rerun_of: null, accepted: 1 },
    };
    for (const id of ['announced', 'queued']) journal.insert({ ...row, id, token: id });
    journal.start('announced', 2, 0, '');
    const adopt = () => assert.fail('nothing was kept');
    await recover({ journal, spool, log, metrics: new RunnerMetrics(), keeper, adopt }, 100);
    assert.deepEqual(
      ['announced', 'queued'].map((id) => journal.byId(id)?.outcome),
      ['lost', 'refused'],
    );
  });
});
