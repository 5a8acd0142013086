import { globSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Scratch } from '../cli/harness.ts';

/** All that must be the same, to the byte, however a run came to its end. */
export interface Outcome {
  /** The merged measures of each group. */
  readonly groups: readonly unknown[];
  readonly flags: readonly unknown[];
  readonly failures: readonly { readonly failure: string; readonly state: string; readonly code: string }[];
  readonly objects: readonly unknown[];
  /** What the commands print. */
  readonly results: string;
  readonly findings: string;
  readonly reconciled: unknown;
}

export async function outcomeOf(scratch: Scratch, pipeline: string, out: string): Promise<Outcome> {
  const printed = async (...args: string[]) => {
    const { code, stdout, stderr } = await scratch.sluice(...args, '--out', out);
    if (code !== 0) throw new Error(`sluice ${args.join(' ')}: ${code}\n${stderr}`);
    return stdout;
  };
  const results = await printed('results', pipeline, '--format', 'json');
  const findings = await printed('findings', pipeline, '--format', 'json');
  const {
    generation: _,
    run: __,
    ...reconciled
  } = JSON.parse(await printed('reconcile', '--json')) as Record<string, unknown>;
  return { ...keptIn(scratch.path(out, 'results.sqlite')), results, findings, reconciled };
}

function keptIn(file: string): Pick<Outcome, 'groups' | 'flags' | 'failures' | 'objects'> {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 10_000 });
  try {
    const all = (sql: string) => database.prepare(sql).all();
    return {
      groups: all('SELECT "group", hex(state) AS state FROM groups ORDER BY "group"'),
      flags: all(
        'SELECT o.key, f.coordinate, f.output, f.kind, f.message FROM flags f JOIN objects o ON o.id = f.object_id ORDER BY 1, 2, 3',
      ),
      failures: all(
        'SELECT failure, state, code, message, hex(payload) AS payload FROM failures ORDER BY failure',
      ) as unknown as Outcome['failures'],
      objects: all(
        'SELECT key, rows, failed, transformed, messages, applied, complete FROM objects ORDER BY key',
      ),
    };
  } finally {
    database.close();
  }
}

/** What is left in the output folder of a run that ended well, and must not be; nothing where all is as it should be. */
export function leftIn(folder: string, { failures }: Outcome): string[] {
  const left = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const wrong = left.filter((name) =>
    /\.(mark|tmp)$|-journal$|^under-way.+\.json$|^killed-rows\.jsonl$/.test(name),
  );
  const ledger = globSync('failures/**/*.jsonl', { cwd: folder }).flatMap((file) =>
    readFileSync(`${folder}/${file}`, 'utf8').split('\n').slice(0, -1),
  );
  const copies = new Set(ledger.map((line) => (JSON.parse(line) as { id: string }).id));
  const open = new Set(failures.map(({ failure }) => failure));
  if (copies.size !== open.size || [...open].some((id) => !copies.has(id)))
    wrong.push(`a ledger with ${copies.size} failures for ${open.size} open ones`);
  return wrong;
}

/** Processes that still work in a folder. */
export function processesIn(folder: string): string[] {
  return globSync('/proc/[0-9]*').filter((entry) => {
    try {
      return readlinkSync(`${entry}/cwd`) === folder;
    } catch {
      // Gone meanwhile, or not ours.
      return false;
    }
  });
}
