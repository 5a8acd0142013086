import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { SystemRandom } from '../../../src/adapters/inmemory/random.ts';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { openPostgresResultStore } from '../../../src/adapters/postgres/result-store.ts';
import { mergeStates } from '../../../src/application/measures/state.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';

/** The results of a stack, as a tool beside it reads them. */
export function openResults(url: string): Promise<ResultStore> {
  const clock = new SystemClock();
  const random = new SystemRandom({ clock });
  return openPostgresResultStore(new PgDatabase({ url }), { mergeStates, clock, random });
}
