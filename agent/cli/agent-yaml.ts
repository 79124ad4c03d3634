/** The agent.yaml that `init` writes: every field that somebody may want to change, with its default and what it is for. */
import path from 'node:path';

export interface Places {
  listen: string;
  plaintext?: string;
  admin: string;
  /** Where these are, if not below the folder of agent.yaml. */
  state: string;
  socket?: string;
  credentials?: string;
}

export function agentYaml(names: string[], { listen, plaintext, admin, state, socket, credentials }: Places): string {
  return `# The agent's configuration. Paths are relative to this file. After a change: mediator-agent check, then HUP (under systemd: systemctl reload).

# The names and addresses by which stubs dial this agent. A proof that was made for another name is refused.
names: ${JSON.stringify(names)}

# Where the front listens. plaintext is for stubs on this machine, for sidecars, and behind a proxy that does TLS.
listen:
  tls: [${JSON.stringify(listen)}]
  plaintext: [${plaintext === undefined ? '' : JSON.stringify(plaintext)}]

tls:
  certificate: tls/cert.pem
  key: tls/key.pem

# Health, metrics, and a web page for those who know the token. On another address than loopback it is served with the certificate above.
admin:
  listen: ${JSON.stringify(admin)}
  token-file: admin-token

# Keys with their secrets: mode 600. And the folder that scripts are dropped into.
keys: keys.yaml
scripts: scripts

# true: a script that is new or was changed, or its manifest, does not run before somebody has looked at it and said: scripts approve NAME. That is
# written to approvals.json beside this file. Who may write that may approve: let it be another user than the one who runs the scripts.
require-approval: false
approvals: approvals.json

# The journal, the spool, and the private folders of scripts. The socket is the runner's API: whoever may open it may use it.
state: ${state}
socket: ${socket ?? `${state}/runner.sock`}

# A folder with one file for each secret that manifests ask for. Without it, LoadCredential= of a unit for systemd may name them.
${credentials === undefined ? '# credentials: credentials' : `credentials: ${credentials}`}

# Where the front writes down for ten minutes which requests were used, so that none is taken twice, not even after a restart.
# nonces: ${state}/front

# Bounds. A call beyond the queue is refused with "try later" (75).
limits:
  concurrency: 32
  queue: 512
  connections: 2048
  handshakes: 512 # connections without a right proof, yet; one more closes the oldest of them
  stdin: 64MiB
  disk-free: 256MiB # less than this below state, and new runs are refused with "try later" (75)

# What is kept of runs that have ended: stdin and output (the spool) by age and by size together, and their rows in the journal.
# What is over goes, oldest first; a run that goes on is never touched, nor for 15 minutes one whose output nobody has acknowledged.
retention:
  spool-age: 30d
  spool-size: 10GiB
  journal-age: 400d
  journal-runs: 1000000
  refused-age: 30d            # calls of which there is no run, because they were refused
  refused-calls: 10000

# For scripts whose manifest does not say otherwise.
defaults:
  timeout: 120s
  grace: 5s # between TERM and KILL
  output-limit: 1GiB

# How long runs may go on after the agent was told to stop, and how long a lost caller is awaited where on-caller-loss is kill.
drain: 30s
resume-window: 60s

# Variables that a stub may pass on to scripts; a * at the end stands for any rest.
environment: [SCW_*]

# The PATH of scripts. Its last folder is that of the Node that runs the agent.
path: /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${path.dirname(process.execPath)}

# A script that was changed must have been left alone for this long before it runs: half a copy never does.
settle: 500ms

log: info # debug, info, warn, error
`;
}
