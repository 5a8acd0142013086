import type { DatabaseSync } from 'node:sqlite';
import { InfrastructureError } from '../../../domain/errors.ts';
import { declareCounts } from './counts.ts';

/** `PRAGMA user_version` of the files that this code writes. */
export const SCHEMA_VERSION = 2;

/** `PRAGMA application_id`: "SLUI", so that `file` and this code can tell a results file from any other database. */
export const APPLICATION_ID = 0x53_4c_55_49;

/** What leads from each version to the next; the first makes the tables. */
const steps: readonly string[] = [
  `
-- A pipeline's name and version. What the others belong to.
CREATE TABLE generations (
  id INTEGER PRIMARY KEY,
  generation TEXT NOT NULL UNIQUE,
  pipeline TEXT NOT NULL,
  version INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  declared TEXT NOT NULL
) STRICT;

-- Times are milliseconds since 1970.
CREATE TABLE runs (
  run TEXT NOT NULL PRIMARY KEY,
  generation TEXT NOT NULL,
  build TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  report TEXT
) STRICT, WITHOUT ROWID;

-- Planned objects with their totals; all that is left of one that is complete.
CREATE TABLE objects (
  id INTEGER PRIMARY KEY,
  generation_id INTEGER NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  version TEXT NOT NULL,
  size INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  build TEXT NOT NULL,
  last_section INTEGER,
  sections_complete INTEGER NOT NULL DEFAULT 0,
  complete INTEGER NOT NULL DEFAULT 0,
  frames INTEGER NOT NULL DEFAULT 0,
  ${declareCounts},
  UNIQUE (generation_id, bucket, key)
) STRICT;

CREATE TABLE run_objects (
  run TEXT NOT NULL,
  object_id INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
  PRIMARY KEY (run, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_objects_by_object ON run_objects (object_id);

-- Sections of which something is applied, of objects that are not complete.
CREATE TABLE sections (
  object_id INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
  section INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  build TEXT NOT NULL,
  complete INTEGER NOT NULL DEFAULT 0,
  frames INTEGER NOT NULL DEFAULT 0,
  -- What the section record tells; NULL until it comes.
  record_digest TEXT,
  next INTEGER,
  expected_frames TEXT,
  PRIMARY KEY (object_id, section)
) STRICT, WITHOUT ROWID;

-- Frames applied, of sections that are not complete.
CREATE TABLE frames (
  object_id INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
  section INTEGER NOT NULL,
  "partition" INTEGER NOT NULL,
  number INTEGER NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (object_id, section, "partition", number)
) STRICT, WITHOUT ROWID;

-- Where messages from elsewhere came by, with their totals, and the keys that were applied.
CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  generation_id INTEGER NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
  source TEXT NOT NULL,
  ${declareCounts},
  UNIQUE (generation_id, source)
) STRICT;

CREATE TABLE keys (
  source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (source_id, key)
) STRICT, WITHOUT ROWID;

-- Merged measures as bytes; "results" has them as values.
CREATE TABLE groups (
  id INTEGER PRIMARY KEY,
  generation_id INTEGER NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
  "group" TEXT NOT NULL,
  state BLOB NOT NULL,
  UNIQUE (generation_id, "group")
) STRICT;

-- Findings about single messages. A message is of an object's row, or has a source and a key.
CREATE TABLE flags (
  id INTEGER PRIMARY KEY,
  object_id INTEGER REFERENCES objects (id) ON DELETE CASCADE,
  coordinate INTEGER,
  source_id INTEGER REFERENCES sources (id) ON DELETE CASCADE,
  key TEXT,
  output INTEGER,
  kind TEXT NOT NULL,
  severity TEXT,
  message TEXT NOT NULL,
  details TEXT,
  CHECK ((object_id IS NULL) <> (source_id IS NULL))
) STRICT;
CREATE UNIQUE INDEX flags_of_objects ON flags (object_id, ifnull(coordinate, -1), ifnull(output, -1)) WHERE object_id IS NOT NULL;
CREATE UNIQUE INDEX flags_of_sources ON flags (source_id, key, ifnull(output, -1)) WHERE source_id IS NOT NULL;

-- Rows and messages that could not be processed.
CREATE TABLE failures (
  id INTEGER PRIMARY KEY,
  generation_id INTEGER NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
  failure TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
  object_id INTEGER REFERENCES objects (id) ON DELETE CASCADE,
  object_version TEXT,
  object_size INTEGER,
  coordinate INTEGER,
  source_id INTEGER REFERENCES sources (id) ON DELETE CASCADE,
  key TEXT,
  output INTEGER,
  stage TEXT NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  rows INTEGER NOT NULL,
  payload BLOB,
  attempts INTEGER NOT NULL,
  run TEXT NOT NULL,
  build TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  tried_at INTEGER NOT NULL,
  closed_at INTEGER,
  closed_by TEXT CHECK (closed_by IN ('plan', 'redrive')),
  UNIQUE (failure, generation_id),
  CHECK ((object_id IS NULL) <> (source_id IS NULL))
) STRICT;
CREATE INDEX failures_of_objects ON failures (object_id, coordinate) WHERE object_id IS NOT NULL;
CREATE INDEX failures_open ON failures (generation_id, code, object_id, source_id) WHERE state = 'open';
CREATE INDEX failures_of_sources ON failures (source_id) WHERE source_id IS NOT NULL;

-- What other tools read: replaced whole when a run is complete. There is a view for each generation, too.
CREATE TABLE results (
  generation TEXT NOT NULL,
  "group" TEXT NOT NULL,
  measures TEXT NOT NULL,
  findings TEXT NOT NULL,
  PRIMARY KEY (generation, "group")
) STRICT;
`,
  `
-- How far all that is applied of the section had been read: the coordinate of a row, NULL for its end (which is what is said of
-- sections that were begun before); and the rows up to there that a verdict kept from "transform", as JSON, NULL for none.
ALTER TABLE sections ADD COLUMN reach INTEGER;
ALTER TABLE sections ADD COLUMN killed TEXT;
`,
];

/**
 * Makes the tables, or brings those of an older version up to date.
 *
 * @throws InfrastructureError `E_OUTPUT` where the file is of a newer version, or a database of something else
 */
export function migrate(database: DatabaseSync, path: string): void {
  if (checkFile(database, path) === SCHEMA_VERSION) return;
  // Another process may be doing the same: the version is read again under the lock.
  transaction(database, 'BEGIN IMMEDIATE', () => {
    for (let version = checkVersion(database, path); version < SCHEMA_VERSION; version++) {
      database.exec(steps[version] as string);
      database.exec(`PRAGMA user_version = ${version + 1}; PRAGMA application_id = ${APPLICATION_ID}`);
    }
  });
}

/** The version of a file that is ours, 0 of a new one; see `migrate` for others. */
export function checkFile(database: DatabaseSync, path: string): number {
  return transaction(database, 'BEGIN', () => checkVersion(database, path));
}

function transaction<T>(database: DatabaseSync, begin: string, work: () => T): T {
  database.exec(begin);
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (thrown) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw thrown;
  }
}

function checkVersion(database: DatabaseSync, path: string): number {
  const read = (sql: string): number => Number(Object.values(database.prepare(sql).get() as object)[0]);
  const version = read('PRAGMA user_version');
  const application = read('PRAGMA application_id');
  const empty = read('SELECT count(*) FROM sqlite_schema') === 0;
  if (application !== APPLICATION_ID && !(empty && version === 0 && application === 0)) {
    throw new InfrastructureError(`${path} is a database of another program: choose another output folder`, {
      code: 'E_OUTPUT',
    });
  }
  if (version > SCHEMA_VERSION) {
    throw new InfrastructureError(
      `${path} was made by a newer Sluice (schema ${version}, this one knows ${SCHEMA_VERSION}): use that one, or another output folder`,
      { code: 'E_OUTPUT' },
    );
  }
  return version;
}
