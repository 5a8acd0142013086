import { Command, Option } from 'commander';
import type { MigrationReport } from '../../../adapters/postgres/migrate.ts';
import { exitCodes } from '../exit-codes.ts';
import { untilInterrupted } from '../interrupt.ts';
import { jsonOption } from '../options.ts';

interface Flags {
  readonly database: string;
  readonly schema: string;
  readonly dryRun?: true;
  readonly json?: true;
}

export function migrateCommand(exitWith: (code: number) => void): Command {
  return new Command('migrate')
    .description('make the tables of a PostgreSQL database, or bring them up to date')
    .addOption(
      new Option('--database <url>', 'postgres://user:password@host:5432/database')
        .env('SLUICE_DATABASE_URL')
        .makeOptionMandatory(),
    )
    .option('--schema <name>', 'the schema that the tables lie in', 'sluice')
    .option('--dry-run', 'tell what would be done, and do nothing')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nsslmode in the URL: disable, require or verify-full (default, but for loopback). NODE_EXTRA_CA_CERTS names further certificates.',
    )
    .action(async (flags: Flags) => {
      const report = await untilInterrupted((signal) => migrateDatabase(flags, signal));
      process.stdout.write(flags.json === true ? `${JSON.stringify(report)}\n` : describe(report, flags));
      exitWith(exitCodes.ok);
    });
}

async function migrateDatabase(flags: Flags, signal: AbortSignal): Promise<MigrationReport> {
  // Loaded here, so that no other command pays for a database client.
  const { migrate } = await import('../../../adapters/postgres/migrate.ts');
  const { PgDatabase } = await import('../../../adapters/postgres/pg-database.ts');
  const database = new PgDatabase({ url: flags.database, maxConnections: 1 });
  try {
    return await migrate(database, { schema: flags.schema, dryRun: flags.dryRun === true }, signal);
  } finally {
    await database.close();
  }
}

function describe({ schema, from, to, steps }: MigrationReport, { dryRun }: Flags): string {
  if (steps.length === 0) return `schema ${schema} is up to date (version ${from})\n`;
  const done = steps.map((step, i) => `  ${from + i + 1}  ${step}\n`).join('');
  return dryRun === true
    ? `schema ${schema} would go from version ${from} to ${to}:\n${done}`
    : `schema ${schema} went from version ${from} to ${to}:\n${done}`;
}
