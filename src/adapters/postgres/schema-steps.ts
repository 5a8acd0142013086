/** One change of the tables. What was released once stays as it is: databases have it. */
export interface SchemaStep {
  readonly description: string;
  readonly sql: string;
  /**
   * The oldest version that the code may know and still work with the tables as they are after this step: while a build is replaced, the
   * one before goes on.
   */
  readonly oldestCode: number;
}

const counts = `rows bigint NOT NULL DEFAULT 0,
  pruned bigint NOT NULL DEFAULT 0,
  filtered bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  transformed bigint NOT NULL DEFAULT 0,
  messages bigint NOT NULL DEFAULT 0,
  applied bigint NOT NULL DEFAULT 0,
  redriven bigint NOT NULL DEFAULT 0,
  open_row_failures bigint NOT NULL DEFAULT 0,
  open_message_failures bigint NOT NULL DEFAULT 0,
  closed_row_failures bigint NOT NULL DEFAULT 0,
  closed_message_failures bigint NOT NULL DEFAULT 0,
  open_failed_rows bigint NOT NULL DEFAULT 0,
  closed_failed_rows bigint NOT NULL DEFAULT 0`;

/** The tables' names stand for themselves: they are made in the schema that is first in the search path. */
const tables = `
-- A pipeline's name and version. What the others belong to.
CREATE TABLE generations (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  generation text COLLATE "C" NOT NULL UNIQUE,
  pipeline text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  fingerprint text COLLATE "C" NOT NULL,
  declared text NOT NULL,
  -- Which publication other tools read; NULL before the first.
  publication_id bigint
);

-- Times are milliseconds since 1970.
CREATE TABLE runs (
  run text COLLATE "C" PRIMARY KEY,
  generation text COLLATE "C" NOT NULL,
  build text COLLATE "C" NOT NULL,
  started_at bigint NOT NULL,
  finished_at bigint,
  report text
);
CREATE INDEX runs_by_generation ON runs (generation);

-- Planned objects with their totals; all that is left of one that is complete. Rows that change often have room beside them.
CREATE TABLE objects (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  generation_id bigint NOT NULL,
  bucket text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  size bigint NOT NULL,
  epoch bigint NOT NULL,
  build text COLLATE "C" NOT NULL,
  last_section bigint,
  sections_complete bigint NOT NULL DEFAULT 0,
  complete boolean NOT NULL DEFAULT false,
  frames bigint NOT NULL DEFAULT 0,
  ${counts},
  UNIQUE (generation_id, bucket, key)
) WITH (fillfactor = 80);

CREATE TABLE run_objects (
  run text COLLATE "C" NOT NULL,
  object_id bigint NOT NULL,
  PRIMARY KEY (run, object_id)
);
CREATE INDEX run_objects_by_object ON run_objects (object_id);

-- Sections of which something is applied, of objects that are not complete.
CREATE TABLE sections (
  object_id bigint NOT NULL,
  section bigint NOT NULL,
  epoch bigint NOT NULL,
  build text COLLATE "C" NOT NULL,
  complete boolean NOT NULL DEFAULT false,
  frames bigint NOT NULL DEFAULT 0,
  -- What the section record tells; NULL until it comes.
  record_digest text COLLATE "C",
  next bigint,
  expected_frames text,
  PRIMARY KEY (object_id, section)
) WITH (fillfactor = 80);

-- Frames applied, of sections that are not complete.
CREATE TABLE frames (
  object_id bigint NOT NULL,
  section bigint NOT NULL,
  "partition" bigint NOT NULL,
  number bigint NOT NULL,
  digest text COLLATE "C" NOT NULL,
  PRIMARY KEY (object_id, section, "partition", number)
);

-- Where messages from elsewhere came by, with their totals, and the keys that were applied.
CREATE TABLE sources (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  generation_id bigint NOT NULL,
  source text COLLATE "C" NOT NULL,
  ${counts},
  UNIQUE (generation_id, source)
) WITH (fillfactor = 80);

CREATE TABLE keys (
  source_id bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  applied_at bigint NOT NULL,
  PRIMARY KEY (source_id, key)
);
CREATE INDEX keys_by_time ON keys (source_id, applied_at);

-- Merged measures as bytes; "results" has them as values.
CREATE TABLE groups (
  generation_id bigint NOT NULL,
  "group" text COLLATE "C" NOT NULL,
  state bytea NOT NULL
) WITH (fillfactor = 80);
-- A group may be longer than an entry of an index.
CREATE UNIQUE INDEX groups_by_name ON groups (generation_id, left("group", 512), md5("group"));

-- Findings about single messages. A message is of an object's row, or has a source and a key.
CREATE TABLE flags (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  object_id bigint,
  coordinate bigint,
  source_id bigint,
  key text COLLATE "C",
  output bigint,
  kind text NOT NULL,
  severity text,
  message text NOT NULL,
  details text,
  CHECK ((object_id IS NULL) <> (source_id IS NULL))
);
CREATE UNIQUE INDEX flags_of_objects ON flags (object_id, coalesce(coordinate, -1), coalesce(output, -1)) WHERE object_id IS NOT NULL;
CREATE UNIQUE INDEX flags_of_sources ON flags (source_id, left(key, 512), md5(key), coalesce(output, -1)) WHERE source_id IS NOT NULL;

-- Rows and messages that could not be processed.
CREATE TABLE failures (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  generation_id bigint NOT NULL,
  failure text COLLATE "C" NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'closed')),
  object_id bigint,
  object_version text COLLATE "C",
  object_size bigint,
  coordinate bigint,
  source_id bigint,
  key text COLLATE "C",
  output bigint,
  stage text NOT NULL,
  code text COLLATE "C" NOT NULL,
  message text NOT NULL,
  rows bigint NOT NULL,
  payload bytea,
  attempts bigint NOT NULL,
  run text COLLATE "C" NOT NULL,
  build text COLLATE "C" NOT NULL,
  opened_at bigint NOT NULL,
  tried_at bigint NOT NULL,
  closed_at bigint,
  closed_by text CHECK (closed_by IN ('plan', 'redrive')),
  UNIQUE (failure, generation_id),
  CHECK ((object_id IS NULL) <> (source_id IS NULL))
);
CREATE INDEX failures_of_generations ON failures (generation_id, id);
CREATE INDEX failures_of_objects ON failures (object_id, coordinate) WHERE object_id IS NOT NULL;
CREATE INDEX failures_of_sources ON failures (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX failures_open ON failures (generation_id, code, object_id, source_id) WHERE state = 'open';

-- What other tools read: of each generation the publication that it points to.
CREATE TABLE publications (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  generation_id bigint NOT NULL,
  begun_at timestamptz NOT NULL DEFAULT now(),
  -- Another one took its place, or it broke off: its rows may go.
  ended boolean NOT NULL DEFAULT false
);
CREATE INDEX publications_of_generations ON publications (generation_id);

CREATE TABLE published (
  publication_id bigint NOT NULL,
  "group" text COLLATE "C" NOT NULL,
  measures jsonb NOT NULL,
  findings jsonb NOT NULL
);
CREATE UNIQUE INDEX published_by_name ON published (publication_id, left("group", 512), md5("group"));

CREATE VIEW results AS
  SELECT generation, "group", measures, findings
  FROM generations JOIN published ON published.publication_id = generations.publication_id;
`;

const reach = `
-- How far all that is applied of the section had been read: the coordinate of a row, NULL for its end (which is what is said of
-- sections that were begun before); and the rows up to there that a verdict kept from "transform", as JSON, NULL for none.
ALTER TABLE sections ADD COLUMN reach bigint, ADD COLUMN killed text;
`;

/** What leads from each version to the next; the first makes the tables. */
export const steps: readonly SchemaStep[] = [
  { description: 'tables of plan, progress, results and failures', sql: tables, oldestCode: 1 },
  { description: 'verdicts on rows: how far sections are applied', sql: reach, oldestCode: 1 },
];

/** The version of the tables that this code works with. */
export const SCHEMA_VERSION = steps.length;
