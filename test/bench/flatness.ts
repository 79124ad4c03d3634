/** What a call costs when there is much of everything, against what it costs when there is nothing. The callers take turns. */
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestAgent } from '../helpers/agent.ts';
import { invocation } from './load.ts';
import { prepareReleased } from './release.ts';
import type { Result, RowName } from './rows.ts';
import { median, ratio } from './statistics.ts';
import type { Workplace } from './workplace.ts';

export async function measureScripts(place: Workplace, scripts: number, rounds: number): Promise<Result> {
  const [few, many] = [await idleAgent(place), await idleAgent(place)];
  addScripts(many, scripts);
  return compare('flat_scripts', many, few, rounds);
}

export async function measureJournal(place: Workplace, runs: number, rounds: number): Promise<Result> {
  const [few, many] = [await idleAgent(place), await idleAgent(place)];
  await many.start();
  await invocation(many, 'true')();
  await many.stop();
  multiplyRuns(path.join(many.state, 'journal.db'), runs);
  return compare('flat_journal', many, few, rounds);
}

export function addScripts(agent: TestAgent, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const folder = path.join(agent.scripts, `group-${index % 100}`);
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const file = path.join(folder, `script-${index}.sh`);
    copyFileSync('/dev/null', file);
    chmodSync(file, 0o755);
  }
}

/** An agent that was not started yet, with a script `true`. */
export async function idleAgent(place: Workplace): Promise<TestAgent> {
  const agent = await prepareReleased();
  place.atEnd(async () => {
    if (agent.running) await agent.stop();
    agent.remove();
  });
  return agent;
}

async function compare(name: RowName, many: TestAgent, few: TestAgent, rounds: number): Promise<Result> {
  await many.start();
  await few.start();
  const [ours, theirs]: [number[], number[]] = [[], []];
  const turns: [TestAgent, number[]][] = [
    [many, ours],
    [few, theirs],
  ];
  for (let round = 0; round < 20 + rounds; round += 1) {
    for (const [agent, samples] of round % 2 === 0 ? turns : turns.toReversed()) {
      const from = performance.now();
      await invocation(agent, 'true')();
      if (round >= 20) samples.push(performance.now() - from);
    }
  }
  const { value, low, high } = ratio(ours, theirs);
  return { name, value, low, high, ours: median(ours), theirs: median(theirs) };
}

/** Copies the one run of a journal that nobody has open, with other ids and tokens. */
export function multiplyRuns(file: string, count: number): void {
  const database = new DatabaseSync(file);
  const columns = database
    .prepare("SELECT name FROM pragma_table_info('runs')")
    .all()
    .map(({ name }) => String(name));
  const values = columns.map((name) => {
    if (name === 'id') return "substr(id, 1, 10) || printf('%016d', n)";
    if (name === 'seq') return 'seq + n';
    return name === 'token' ? 'lower(hex(randomblob(16)))' : name;
  });
  database.exec(
    `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
     INSERT INTO runs (${columns.join(', ')}) SELECT ${values.join(', ')} FROM numbers, (SELECT * FROM runs LIMIT 1)`,
  );
  database.close();
}
