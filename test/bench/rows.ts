/** The table of ratios (the README explains each): names, what is divided by what, goals. */
export interface RowPlan {
  what: string;
  goal: number;
  better: 'lower' | 'higher';
  /** Of the two sides; a ratio has none by itself. A row in MiB is no ratio. */
  unit: 'ms' | 'runs/s' | 'MB/s' | 'MiB';
}

export const ROW_NAMES = [
  'plain_vs_webhook',
  'tls_vs_webhook',
  'tls_vs_handshake',
  'tls_vs_ssh',
  'tls_vs_ssh_warm',
  'sidecar_vs_ssh_warm',
  'rate_vs_spawn',
  'rate_vs_websocketd',
  'rate_vs_webhook',
  'output_vs_ssh',
  'output_bash_only',
  'rss_stream',
  'rss_500',
  'flat_scripts',
  'flat_journal',
] as const;
export type RowName = (typeof ROW_NAMES)[number];

export const ROWS: Record<RowName, RowPlan> = {
  plain_vs_webhook: { what: 'stub over loopback plaintext ÷ curl to webhook', goal: 0.8, better: 'lower', unit: 'ms' },
  tls_vs_webhook: { what: 'stub over TLS ÷ curl to webhook over TLS', goal: 1, better: 'lower', unit: 'ms' },
  tls_vs_handshake: { what: 'stub over TLS ÷ a bare GET by openssl s_client', goal: 1.6, better: 'lower', unit: 'ms' },
  tls_vs_ssh: { what: 'stub over TLS ÷ ssh, cold', goal: 0.12, better: 'lower', unit: 'ms' },
  tls_vs_ssh_warm: { what: 'stub over TLS ÷ ssh over a warm ControlMaster', goal: 2, better: 'lower', unit: 'ms' },
  sidecar_vs_ssh_warm: { what: 'stub to a sidecar ÷ ssh over a warm ControlMaster', goal: 1, better: 'lower', unit: 'ms' },
  rate_vs_spawn: { what: '32 at once through the agent ÷ a bare spawn loop in Node', goal: 1.5, better: 'higher', unit: 'runs/s' },
  rate_vs_websocketd: { what: '32 at once through the agent ÷ websocketd', goal: 1, better: 'higher', unit: 'runs/s' },
  rate_vs_webhook: { what: '32 at once through the agent ÷ webhook', goal: 1, better: 'higher', unit: 'runs/s' },
  output_vs_ssh: { what: 'stdout over TLS, coreutils ÷ ssh', goal: 1, better: 'higher', unit: 'MB/s' },
  output_bash_only: { what: 'stdout over plaintext, bash alone ÷ a bare read -N loop', goal: 0.6, better: 'higher', unit: 'MB/s' },
  rss_stream: { what: 'runner + front, growth while 1 GiB streams', goal: 32, better: 'lower', unit: 'MiB' },
  rss_500: { what: 'runner + front, growth with 500 runs at once', goal: 150, better: 'lower', unit: 'MiB' },
  flat_scripts: { what: 'a call with 10,000 scripts ÷ with 1', goal: 1.1, better: 'lower', unit: 'ms' },
  flat_journal: { what: 'a call with 1,000,000 past runs ÷ with none', goal: 1.1, better: 'lower', unit: 'ms' },
};

export interface Result {
  name: RowName;
  /** The ratio, or MiB. */
  value: number;
  /** Quartiles of the ratio within a round, where there are rounds. */
  low?: number;
  high?: number;
  /** Medians of both sides, in the row's unit. */
  ours?: number;
  theirs?: number;
}

export function meets({ name, value }: Result): boolean {
  const { goal, better } = ROWS[name];
  return better === 'lower' ? value <= goal : value >= goal;
}
