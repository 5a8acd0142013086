import type { Target } from './target.ts';
import { claimsTarget } from './targets/claims.ts';
import { gzipTarget, zstdTarget } from './targets/compressed.ts';
import { csvTarget, tsvTarget } from './targets/csv.ts';
import { detectTarget } from './targets/detect.ts';
import { eventsTarget } from './targets/events.ts';
import { frameBodiesTarget, frameHeadersTarget, framesTarget } from './targets/frames.ts';
import { jsonArrayTarget } from './targets/json-array.ts';
import { jsonLinesTarget } from './targets/json-lines.ts';
import { ledgerLinesTarget } from './targets/ledger-lines.ts';
import { objectKeysTarget } from './targets/object-keys.ts';
import { parquetTarget } from './targets/parquet.ts';
import { queueMessagesTarget } from './targets/queue-messages.ts';
import { taggedJsonTarget, valuesTarget } from './targets/values.ts';
import { whereTarget } from './targets/where.ts';

/** Everything that reads bytes or texts which somebody else has made. */
export const targets: readonly Target[] = [
  csvTarget,
  tsvTarget,
  jsonLinesTarget,
  jsonArrayTarget,
  parquetTarget,
  gzipTarget,
  zstdTarget,
  detectTarget,
  framesTarget,
  frameBodiesTarget,
  frameHeadersTarget,
  taggedJsonTarget,
  valuesTarget,
  claimsTarget,
  queueMessagesTarget,
  eventsTarget,
  objectKeysTarget,
  whereTarget,
  ledgerLinesTarget,
];
