import { InfrastructureError } from '../../../domain/errors.ts';
import type { Deployed, DeploymentCalls } from './calls.ts';

/** Outputs of a foundation that made its own database. */
const CLUSTER = 'SluiceDatabaseCluster';
const SECRET = 'SluiceDatabaseSecret';
const DATABASE = 'sluice';

/** The user that the functions are; each statement may be repeated. */
const makeUser = [
  'DO $$ BEGIN CREATE USER sluice; EXCEPTION WHEN duplicate_object THEN NULL; END $$',
  'GRANT rds_iam TO sluice',
  `GRANT CREATE ON DATABASE ${DATABASE} TO sluice`,
];

/** What analyze replies to `{ "migrate": true }`. */
interface MigrateReply {
  /** `null`: results lie in S3. */
  readonly schema?: string | null;
  readonly from?: number;
  readonly to?: number;
  readonly steps?: readonly string[];
  /** Why the database does not let its user do it. */
  readonly denied?: string;
}

/**
 * Makes the tables, or brings them up to date, by a function that is inside the database's network. A database that the foundation made, and that
 * does not know the functions' user yet, is told of it.
 *
 * @param foundation the stack of network and database; `null` where there is none
 * @throws InfrastructureError `E_ACCESS_DENIED` where the user may not make tables, saying what to do
 */
export async function makeTables(
  { analyzeFunction }: Pick<Deployed, 'analyzeFunction'>,
  foundation: string | null,
  calls: Pick<DeploymentCalls, 'invoke' | 'outputs' | 'executeSql'>,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const migrate = async () =>
    (await calls.invoke(analyzeFunction, { migrate: true }, signal)) as MigrateReply | null;
  let reply = await migrate();
  // Asked for only where it is missing: whoever deploys needs no right to the first user's password afterwards.
  if (reply?.denied !== undefined && (await makeFunctionsUser(foundation, calls, signal))) {
    progress('the database knows the user of the functions now');
    reply = await migrate();
  }
  if (reply?.denied !== undefined) throw new InfrastructureError(reply.denied, { code: 'E_ACCESS_DENIED' });
  if (typeof reply?.schema !== 'string') return;
  const { from, to, steps = [] } = reply;
  progress(
    steps.length === 0
      ? `the tables are up to date (version ${from})`
      : `the tables went from version ${from} to ${to}: ${steps.join('; ')}`,
  );
}

/** @returns `false` where the database is not the foundation's own */
async function makeFunctionsUser(
  foundation: string | null,
  calls: Pick<DeploymentCalls, 'outputs' | 'executeSql'>,
  signal: AbortSignal,
): Promise<boolean> {
  const outputs = foundation === null ? null : await calls.outputs(foundation, signal);
  const cluster = outputs?.[CLUSTER];
  const secret = outputs?.[SECRET];
  if (cluster === undefined || secret === undefined) return false;
  for (const sql of makeUser) await calls.executeSql({ cluster, secret, database: DATABASE, sql }, signal);
  return true;
}
