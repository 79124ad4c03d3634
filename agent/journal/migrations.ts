/** The journal's schema, one step a version. A step is never changed once it was released; `PRAGMA user_version` says which were taken. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE runs (
     id          TEXT PRIMARY KEY,        -- ULID: sorts by time
     token       TEXT NOT NULL UNIQUE,
     key         TEXT NOT NULL,           -- id of the key; 'local' over the Unix socket
     address     TEXT NOT NULL,
     script      TEXT NOT NULL,           -- as resolved, below the scripts folder
     sha256      TEXT NOT NULL,
     host        TEXT NOT NULL,
     event       TEXT NOT NULL,
     ticket      TEXT NOT NULL,
     args        TEXT NOT NULL,           -- JSON array
     env         TEXT NOT NULL,           -- JSON object, forwarded variables only
     timeout_ms  INTEGER NOT NULL,
     stdin       INTEGER NOT NULL,        -- bytes
     rerun_of    TEXT,
     accepted    INTEGER NOT NULL,        -- milliseconds since the epoch, as the next two
     started     INTEGER,
     ended       INTEGER,
     pid         INTEGER,
     boot        TEXT,                    -- the boot in which pid means something
     outcome     TEXT,                    -- NULL while the run is open
     code        INTEGER,
     stdout      INTEGER NOT NULL DEFAULT 0,
     stderr      INTEGER NOT NULL DEFAULT 0,
     message     TEXT NOT NULL DEFAULT '',
     acknowledged INTEGER                 -- when a stub said that it had printed everything
   ) STRICT;
   CREATE INDEX runs_open ON runs (id) WHERE outcome IS NULL;
   CREATE INDEX runs_ticket ON runs (ticket, id) WHERE ticket <> '';
   CREATE INDEX runs_script ON runs (script, id);`,

  `ALTER TABLE runs ADD COLUMN subject TEXT NOT NULL DEFAULT '';
   ALTER TABLE runs ADD COLUMN requester TEXT NOT NULL DEFAULT '';
   ALTER TABLE runs ADD COLUMN stage TEXT NOT NULL DEFAULT '';
   ALTER TABLE runs ADD COLUMN identity TEXT NOT NULL DEFAULT ''; -- of the event; empty if it has none
   ALTER TABLE runs ADD COLUMN reply BLOB;                        -- what the host got on stdout instead of the script's own
   CREATE INDEX runs_identity ON runs (identity, id) WHERE identity <> '';
   CREATE TABLE attachments (            -- invocations that were the same event as an earlier one, and read its run
     token TEXT PRIMARY KEY,
     run   TEXT NOT NULL REFERENCES runs (id),
     key   TEXT NOT NULL,
     at    INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX attachments_run ON attachments (run);`,

  // Digests are SHA-256 in lower-case hex; empty in runs from before this step.
  `ALTER TABLE runs ADD COLUMN stdin_sha256 TEXT NOT NULL DEFAULT '';
   ALTER TABLE runs ADD COLUMN stdout_sha256 TEXT NOT NULL DEFAULT '';
   ALTER TABLE runs ADD COLUMN stderr_sha256 TEXT NOT NULL DEFAULT '';
   ALTER TABLE runs ADD COLUMN seq INTEGER;       -- 1, 2, 3 … in the order in which runs ended: the place in the chain
   ALTER TABLE runs ADD COLUMN link TEXT;         -- chain.ts
   ALTER TABLE runs ADD COLUMN removed INTEGER;   -- when retention removed its folder in the spool
   CREATE UNIQUE INDEX runs_seq ON runs (seq) WHERE seq IS NOT NULL;
   CREATE INDEX runs_spooled ON runs (seq) WHERE seq IS NOT NULL AND removed IS NULL;
   CREATE TABLE chain (                            -- one row: what the chain continues
     seq  INTEGER NOT NULL,                       -- of the last run that retention took from its beginning; 0 if none
     link TEXT NOT NULL
   ) STRICT;
   INSERT INTO chain VALUES (0, '');`,

  `CREATE TABLE key_uses (
     key         TEXT PRIMARY KEY,
     address     TEXT NOT NULL,
     at          INTEGER NOT NULL,
     previous_at INTEGER                -- by a secret that a rotation has replaced
   ) STRICT;`,

  `ALTER TABLE runs ADD COLUMN manifest_sha256 TEXT; -- empty if the script had none; NULL in runs from before this step`,

  `CREATE TABLE refusals (             -- calls of which there is no run; the text is empty where it was not known
     id      INTEGER PRIMARY KEY,
     at      INTEGER NOT NULL,
     key     TEXT NOT NULL,
     address TEXT NOT NULL,
     script  TEXT NOT NULL,            -- as it was called
     host    TEXT NOT NULL,
     event   TEXT NOT NULL,
     ticket  TEXT NOT NULL,
     code    TEXT NOT NULL,
     reason  TEXT NOT NULL
   ) STRICT;`,

  `ALTER TABLE runs ADD COLUMN order_sha256 TEXT; -- NULL in runs from before this step, and while the run is open`,
];

/** With this version came the chain; runs that had ended before are put into it then, and never later. */
export const CHAINED = 3;
