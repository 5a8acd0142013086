import type { Check } from '../problem.ts';
import {
  bisect,
  deadLetters,
  endlessRetries,
  filters,
  lease,
  onFailure,
  partialResponses,
  recordAge,
  visibility,
} from './delivery.ts';
import { build, connections, environment, recursion, runtime, timeout } from './functions.ts';
import { partitions, recordSize } from './stream.ts';

/** Every check, in the order in which it is told. */
export const checks: readonly Check[] = [
  environment,
  runtime,
  timeout,
  recursion,
  partialResponses,
  endlessRetries,
  recordAge,
  bisect,
  onFailure,
  deadLetters,
  visibility,
  lease,
  filters,
  recordSize,
  partitions,
  connections,
  build,
];
