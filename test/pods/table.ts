/** The matrix: a column for each pod or proxy, a row for each case, and what came of it. */

/** The stub says itself that it cannot do this yet. Counts as a failure, but is told apart from a wrong result. */
export class Missing extends Error {}

interface Cell {
  row: string;
  column: string;
  text: string;
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export class Table {
  readonly #title: string;
  readonly #rows: string[];
  readonly #columns: string[];
  readonly #cells: Cell[] = [];
  /** What went wrong, and where. */
  readonly #failures = new Map<string, string[]>();
  readonly counts: Counts = { passed: 0, failed: 0, skipped: 0 };

  constructor(title: string, rows: string[], columns: string[]) {
    this.#title = title;
    this.#rows = rows;
    this.#columns = columns;
  }

  /** Runs a case and notes what came of it. @param body returns what is worth telling of a success */
  async run(row: string, column: string, body: () => Promise<string>): Promise<void> {
    try {
      this.#note({ row, column, text: `ok ${await body()}`.trimEnd() }, 'passed');
    } catch (error) {
      this.#note({ row, column, text: error instanceof Missing ? 'missing' : 'FAILED' }, 'failed');
      const reason = error instanceof Error ? error.message : String(error);
      this.#failures.set(reason, [...(this.#failures.get(reason) ?? []), `${column}, ${row}`]);
    }
  }

  /** A case that means nothing there. */
  leaveOut(row: string, column: string): void {
    this.#cells.push({ row, column, text: '-' });
  }

  /** A column that cannot run, because something is not installed. */
  skip(column: string, reason: string): void {
    console.log(`skipped: ${column}: ${reason}`);
    for (const row of this.#rows) this.#cells.push({ row, column, text: 'skipped' });
    this.counts.skipped += 1;
  }

  print(): void {
    const columns = this.#columns.filter((name) => this.#cells.some(({ column }) => column === name));
    const lines = [[this.#title, ...columns], ...this.#rows.map((row) => [row, ...columns.map((column) => this.#textOf(row, column))])];
    const widths = [this.#title, ...columns].map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
    console.log('');
    for (const line of lines) {
      console.log(
        line
          .map((text, at) => text.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd(),
      );
    }
    for (const [reason, places] of this.#failures) console.log(`\nfailed: ${places.join('; ')}:\n${reason}`);
  }

  #textOf(row: string, column: string): string {
    return this.#cells.find((cell) => cell.row === row && cell.column === column)?.text ?? '';
  }

  #note(cell: Cell, result: 'passed' | 'failed'): void {
    this.#cells.push(cell);
    this.counts[result] += 1;
    console.log(`${cell.column}, ${cell.row}: ${cell.text}`);
  }
}
