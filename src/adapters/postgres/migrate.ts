import { DomainError } from '../../domain/errors.ts';
import type { Database, Session } from './database.ts';
import { databaseError, schemaError } from './errors.ts';
import { SCHEMA_VERSION, steps, type SchemaStep } from './schema-steps.ts';
import { identifier, literal, lockNumber, type Transactions } from './transaction.ts';

/** The schema that everything lies in, unless another one is asked for. */
export const DEFAULT_SCHEMA = 'sluice';

export interface MigrationOptions {
  /** Default `sluice`. */
  readonly schema?: string;
  /** Tells what would be done, and does nothing. Default false. */
  readonly dryRun?: boolean;
}

export interface MigrationReport {
  readonly schema: string;
  /** 0 where there were no tables. */
  readonly from: number;
  readonly to: number;
  /** What was done, or would be, in order. */
  readonly steps: readonly string[];
}

/**
 * Makes the tables, or brings those of an older version up to date: all steps in one transaction, one process at a time.
 * Tables of a newer version stay as they are.
 *
 * @throws InfrastructureError where the database cannot be reached, or does not allow it
 */
export async function migrate(
  database: Database,
  { schema = DEFAULT_SCHEMA, dryRun = false }: MigrationOptions,
  signal: AbortSignal,
): Promise<MigrationReport> {
  checkSchemaName(schema);
  const session = await connect(database, signal);
  let isClean = false;
  try {
    await session.execute('BEGIN ISOLATION LEVEL READ COMMITTED', 0);
    if (!dryRun) await session.execute(`SELECT pg_advisory_xact_lock(${lockNumber(schema, 'migration')})`, 0);
    const from = await readVersion(session, schema);
    const missing = steps.slice(from);
    if (!dryRun && missing.length > 0) await take(session, schema, from, missing, signal);
    signal.throwIfAborted();
    await session.execute(dryRun ? 'ROLLBACK' : 'COMMIT', 0);
    isClean = true;
    const done = missing.map(({ description }) => description);
    return { schema, from, to: Math.max(from, SCHEMA_VERSION), steps: done };
  } catch (thrown) {
    throw databaseError(thrown, database.name);
  } finally {
    await session.release(isClean);
  }
}

async function connect(database: Database, signal: AbortSignal): Promise<Session> {
  try {
    return await database.connect(signal);
  } catch (thrown) {
    throw databaseError(thrown, database.name);
  }
}

async function take(
  session: Session,
  schema: string,
  from: number,
  missing: readonly SchemaStep[],
  signal: AbortSignal,
): Promise<void> {
  await session.execute(
    `CREATE SCHEMA IF NOT EXISTS ${identifier(schema)};
     SET LOCAL search_path TO ${identifier(schema)};
     CREATE TABLE IF NOT EXISTS migrations (
       version bigint PRIMARY KEY,
       description text NOT NULL,
       -- The oldest version that code may know to work with these tables.
       oldest_code bigint NOT NULL,
       migrated_at timestamptz NOT NULL DEFAULT now()
     )`,
    0,
  );
  for (const [i, { sql, description, oldestCode }] of missing.entries()) {
    signal.throwIfAborted();
    await session.execute(sql, 0);
    await session.query(
      'INSERT INTO migrations (version, description, oldest_code) VALUES ($1, $2, $3)',
      [from + i + 1, description, oldestCode],
      0,
    );
  }
}

/** 0 where there are no tables. */
async function readVersion(session: Session, schema: string): Promise<number> {
  const there = await session.query('SELECT to_regclass($1) IS NOT NULL AS there', [migrationsOf(schema)], 0);
  if (there.rows[0]?.['there'] !== true) return 0;
  const { rows } = await session.query(
    `SELECT coalesce(max(version), 0) AS version FROM ${migrationsOf(schema)}`,
    [],
    0,
  );
  return Number(rows[0]?.['version']);
}

/**
 * @throws InfrastructureError `E_STORE_SCHEMA` where the tables are missing or too old, or so new that this code would not
 *   understand them
 */
export async function checkSchema(transactions: Transactions, signal: AbortSignal): Promise<void> {
  const { schema, name } = transactions;
  checkSchemaName(schema);
  const advice = `run \`sluice migrate --database postgres://…${schema === DEFAULT_SCHEMA ? '' : ` --schema ${schema}`}\``;
  const found = await readVersions(transactions, signal);
  if (found === undefined)
    throw schemaError(`${name} has no tables of Sluice in schema ${schema}: ${advice}`);
  const { version, oldestCode } = found;
  if (version < SCHEMA_VERSION)
    throw schemaError(
      `${name}: the tables in schema ${schema} are of version ${version}, this Sluice needs ${SCHEMA_VERSION}: ${advice}`,
    );
  if (oldestCode > SCHEMA_VERSION)
    throw schemaError(
      `${name}: the tables in schema ${schema} are of version ${version} and need a Sluice that knows ${oldestCode}, this one knows ${SCHEMA_VERSION}: use a newer one`,
    );
}

async function readVersions(
  transactions: Transactions,
  signal: AbortSignal,
): Promise<{ version: number; oldestCode: number } | undefined> {
  return transactions.read(signal, async (transaction) => {
    const there = await transaction.get<{ there: boolean }>(
      `SELECT to_regclass(${literal(migrationsOf(transactions.schema))}) IS NOT NULL AS there`,
    );
    if (there?.there !== true) return undefined;
    return transaction.get(
      'SELECT coalesce(max(version), 0) AS version, coalesce(max(oldest_code), 0) AS "oldestCode" FROM migrations',
    );
  });
}

function migrationsOf(schema: string): string {
  return `${identifier(schema)}.migrations`;
}

function checkSchemaName(schema: string): void {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema))
    throw new DomainError(
      `${JSON.stringify(schema)} is no name for a schema: letters a to z, digits and _ alone, 63 at most`,
      { code: 'E_USAGE' },
    );
}
