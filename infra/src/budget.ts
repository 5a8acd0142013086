import type { FunctionName } from './manifest.ts';

/** Bytes of memory that PostgreSQL on RDS counts for one connection. */
const BYTES_PER_CONNECTION = 9_531_392;
const CAPACITY_BYTES = 2 * 1024 ** 3;
/** No more, however large. */
const MOST_CONNECTIONS = 5_000;
/** Where the smallest capacity is 0 or 0.5 units. */
const MOST_CONNECTIONS_OF_A_SMALL_MINIMUM = 2_000;
/** Of the memory, what is left after the database's own processes. With it 1 unit takes 189 connections as AWS says, and larger ones a tenth less. */
const USABLE = 0.84;

/**
 * `max_connections` of Aurora Serverless v2 follows from its largest capacity and is lower where it may shrink to almost nothing.
 * Rounded down: a budget must not count on the last one.
 */
export function auroraConnections(minimumCapacity: number, maximumCapacity: number): number {
  const most = minimumCapacity < 1 ? MOST_CONNECTIONS_OF_A_SMALL_MINIMUM : MOST_CONNECTIONS;
  return Math.min(most, Math.floor((maximumCapacity * CAPACITY_BYTES * USABLE) / BYTES_PER_CONNECTION));
}

/**
 * Of all connections, what the containers of one pipeline may take. The other half is for those that a deployment replaces and that keep theirs
 * until they end, for a version beside it, and for people.
 */
const SHARE = 0.5;

/**
 * A container that finishes the work of another build by that one's kept bundle holds connections of both. Counted is one such build, that which a deployment has replaced
 * last: what those before it began is through, or waits in few containers. Dispatch leaves the work of others to them.
 */
const BUILDS: Concurrency = { dispatch: 1, analyze: 2, reprocess: 2 };

/** How many containers of a function may run at once. Of transform none: it has no connection. */
export type Concurrency = Readonly<Record<Exclude<FunctionName, 'transform'>, number>>;

/**
 * @throws Error that adds the connections up and says what to lower or raise
 */
export function checkConnectionBudget(
  concurrency: Concurrency,
  connectionsPerContainer: number,
  maxConnections: number | null,
): void {
  // A proxy hands one connection to many containers.
  if (maxConnections === null) return;
  const parts = (['dispatch', 'analyze', 'reprocess'] as const).map((name) => ({
    text: `${name} ${concurrency[name]} × ${connectionsPerContainer}${BUILDS[name] > 1 ? ` × ${BUILDS[name]} builds` : ''}`,
    connections: concurrency[name] * connectionsPerContainer * BUILDS[name],
  }));
  const wanted = parts.reduce((total, { connections }) => total + connections, 0);
  const allowed = Math.floor(maxConnections * SHARE);
  if (wanted <= allowed) return;
  const sum = parts.map(({ text }) => text).join(' + ');
  throw new Error(
    `connections to the database: ${sum} = ${wanted}, but it takes ${maxConnections}, of which one pipeline may have ${allowed}. ` +
      'Lower analyze.concurrency, dispatch.concurrency or databaseConnections, give the database more capacity, or put a proxy before it',
  );
}
