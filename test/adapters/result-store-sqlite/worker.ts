import { openSqliteResultStore } from '../../../src/adapters/local/sqlite/result-store.ts';
import { addCounters, doAll } from './work.ts';

/** A process of its own: does all of the work on a file and tells of every frame that it applied. */
const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: worker.ts FILE');
const store = await openSqliteResultStore(path, { mergeStates: addCounters });
await doAll(store, () => process.stdout.write('.'));
await store.close();
